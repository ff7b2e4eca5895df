package stock

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

// LetterType is the type of a dead letter's payload that MarshalLetter made.
const LetterType = "journal_entry"

const (
	// letterFieldMax bounds one field of a dead letter, in bytes: the longest valid one, the deltas of 100 SKUs, has 8 kB.
	letterFieldMax = 64 << 10
	// letterFieldsMax bounds the fields of a dead letter; a valid entry has 8.
	letterFieldsMax = 32
)

// Letter is the payload of a dead letter that is a journal entry: the fields as they stood in Redis, whether they could be read or
// not, so that an operator can mend what could not.
type Letter struct {
	ID string `json:"id"`
	// Fields are the fields that are text.
	Fields map[string]string `json:"fields"`
	// Base64 are the bytes of the fields that are not UTF-8. A field of the same name in Fields takes precedence.
	Base64 map[string][]byte `json:"base64,omitempty"`
	// Cut are the lengths, in bytes, of fields that were too long and of which only the beginning is here.
	Cut map[string]int `json:"cut,omitempty"`
	// Snapshot is opaque bytes.
	Snapshot []byte `json:"snapshot,omitempty"`
}

const fieldSnapshot = "snapshot"

// MarshalLetter makes the JSON of an entry that could not be applied.
func MarshalLetter(e Entry) ([]byte, error) {
	id := string(e.OrderID)
	if e.Kind == Adjusted {
		id = e.AdjustmentID
	}
	return marshalLetter(e.ID, map[string]string{
		"kind": string(e.Kind), "order": id, "deltas": order.FormatDeltas(e.Deltas), "time": strconv.FormatInt(e.Time.UnixMilli(), 10),
		"detail": e.Detail, "actor": e.Actor, "trace": e.Trace, fieldSnapshot: string(e.Snapshot),
	})
}

// MarshalPoison makes the JSON of an entry that could not be read.
func MarshalPoison(e *PoisonError) ([]byte, error) { return marshalLetter(e.ID, e.Raw) }

func marshalLetter(id string, fields map[string]string) ([]byte, error) {
	l := Letter{ID: id, Fields: make(map[string]string, len(fields))}
	l.Snapshot = []byte(l.keep(fieldSnapshot, fields[fieldSnapshot], snapshotBytesMax))
	for _, name := range letterFields(fields) {
		l.add(name, fields[name])
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("make a dead letter of journal entry %s: %w", id, err)
	}
	return raw, nil
}

// letterFields are the names of the fields that a letter keeps: those that an entry has, then others.
func letterFields(fields map[string]string) []string {
	names := []string{"kind", "order", "deltas", "time", "detail", "actor", "trace"}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != fieldSnapshot && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names[:min(len(names), letterFieldsMax)]
}

func (l *Letter) add(name, value string) {
	name = strings.ToValidUTF8(name[:min(len(name), letterFieldMax)], string(utf8.RuneError))
	value = l.keep(name, value, letterFieldMax)
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

// keep returns as much of a value as fits, and records what it cut.
func (l *Letter) keep(name, value string, limit int) string {
	if len(value) <= limit {
		return value
	}
	if l.Cut == nil {
		l.Cut = make(map[string]int)
	}
	l.Cut[name] = len(value)
	return value[:limit]
}

// UnmarshalLetter reads the entry of a dead letter as it would be read from the journal. What it cannot read is order.ErrInvalid.
func UnmarshalLetter(raw []byte) (Entry, error) {
	var l Letter
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
