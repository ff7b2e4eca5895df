package journal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

// DeadLetterType is the payload type of a dead letter that MarshalDeadLetter or MarshalPoison made.
const DeadLetterType = "journal_entry"

const (
	// maxFieldBytes bounds one field of a dead letter, in bytes: the longest valid one, the deltas of 100 SKUs, has 8 kB.
	maxFieldBytes = 64 << 10
	// maxFields bounds the fields of a dead letter; a valid entry has 8.
	maxFields = 32
)

// DeadLetter is the payload of a dead letter that is a journal entry: its fields as they were in Redis, whether they can be parsed or not,
// so that an operator can correct them.
type DeadLetter struct {
	ID string `json:"id"`
	// Fields are the fields that are text.
	Fields map[string]string `json:"fields"`
	// Base64 are the bytes of the fields that are not UTF-8. A field of the same name in Fields takes precedence.
	Base64 map[string][]byte `json:"base64,omitempty"`
	// Cut are the lengths, in bytes, of fields that were too long, and were truncated.
	Cut map[string]int `json:"cut,omitempty"`
	// Snapshot is opaque bytes.
	Snapshot []byte `json:"snapshot,omitempty"`
}

const fieldSnapshot = "snapshot"

// MarshalDeadLetter makes the JSON of an entry that cannot be applied.
func MarshalDeadLetter(e Entry) ([]byte, error) {
	id := string(e.OrderID)
	if e.Kind == Adjusted {
		id = e.AdjustmentID
	}
	return marshalFields(e.ID, map[string]string{
		"kind": string(e.Kind), "order": id, "deltas": order.FormatDeltas(e.Deltas), "time": strconv.FormatInt(e.Time.UnixMilli(), 10),
		"detail": e.Detail, "actor": e.Actor, "trace": e.Trace, fieldSnapshot: string(e.Snapshot),
	})
}

// MarshalPoison makes the JSON of an entry that cannot be parsed.
func MarshalPoison(e *PoisonError) ([]byte, error) { return marshalFields(e.ID, e.Raw) }

func marshalFields(id string, fields map[string]string) ([]byte, error) {
	l := DeadLetter{ID: id, Fields: make(map[string]string, len(fields))}
	l.Snapshot = []byte(l.keep(fieldSnapshot, fields[fieldSnapshot], maxSnapshotBytes))
	for _, name := range keptFields(fields) {
		l.add(name, fields[name])
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("make a dead letter of journal entry %s: %w", id, err)
	}
	return raw, nil
}

// keptFields are the names of the fields that a dead letter keeps: those that an entry has, then others.
func keptFields(fields map[string]string) []string {
	names := []string{"kind", "order", "deltas", "time", "detail", "actor", "trace"}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != fieldSnapshot && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names[:min(len(names), maxFields)]
}

func (l *DeadLetter) add(name, value string) {
	name = strings.ToValidUTF8(name[:min(len(name), maxFieldBytes)], string(utf8.RuneError))
	value = l.keep(name, value, maxFieldBytes)
	switch {
	case value == "":
	case utf8.ValidString(value):
		l.Fields[name] = value
	default:
		if l.Base64 == nil {
			l.Base64 = make(map[string][]byte)
		}
		l.Base64[name] = []byte(value)
	}
}

// keep truncates a value to the limit, and records the length of one that was longer.
func (l *DeadLetter) keep(name, value string, limit int) string {
	if len(value) <= limit {
		return value
	}
	if l.Cut == nil {
		l.Cut = make(map[string]int)
	}
	l.Cut[name] = len(value)
	return value[:limit]
}

// UnmarshalDeadLetter parses the entry of a dead letter as if it was read from the journal. It returns order.ErrInvalid if it cannot.
func UnmarshalDeadLetter(raw []byte) (Entry, error) {
	var l DeadLetter
	if err := json.Unmarshal(raw, &l); err != nil {
		return Entry{}, fmt.Errorf("the journal entry is not JSON of the form {id, fields, snapshot}: %w: %w", err, order.ErrInvalid)
	}
	fields := make(map[string]string, len(l.Fields)+len(l.Base64)+1)
	for name, value := range l.Base64 {
		fields[name] = string(value)
	}
	maps.Copy(fields, l.Fields)
	fields[fieldSnapshot] = string(l.Snapshot)
	e, err := parseEntry(rueidis.XRangeEntry{ID: l.ID, FieldValues: fields})
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", err, order.ErrInvalid)
	}
	return e, nil
}
