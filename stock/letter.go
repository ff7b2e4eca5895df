package stock

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

// LetterType is the type of a dead letter's payload that MarshalLetter made.
const LetterType = "journal_entry"

// letter is a journal entry as it is put aside: the fields as they stood in Redis, whether they could be read or not, so that
// an operator can mend what could not. The snapshot is opaque bytes.
type letter struct {
	ID       string            `json:"id"`
	Fields   map[string]string `json:"fields"`
	Snapshot []byte            `json:"snapshot,omitempty"`
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
	l := letter{ID: id, Fields: make(map[string]string, len(fields)), Snapshot: []byte(fields[fieldSnapshot])}
	for name, value := range fields {
		if name != fieldSnapshot && value != "" {
			l.Fields[name] = value
		}
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("put journal entry %s aside: %w", id, err)
	}
	return raw, nil
}

// UnmarshalLetter reads the entry of a dead letter as it would be read from the journal. What it cannot read is order.ErrInvalid.
func UnmarshalLetter(raw []byte) (Entry, error) {
	var l letter
	if err := json.Unmarshal(raw, &l); err != nil {
		return Entry{}, fmt.Errorf("the journal entry is not JSON of the form {id, fields, snapshot}: %w: %w", err, order.ErrInvalid)
	}
	fields := make(map[string]string, len(l.Fields)+1)
	maps.Copy(fields, l.Fields)
	fields[fieldSnapshot] = string(l.Snapshot)
	e, err := parseEntry(rueidis.XRangeEntry{ID: l.ID, FieldValues: fields})
	if err == nil && e.Kind == Adjusted && len(e.Deltas) != 1 {
		err = fmt.Errorf("journal entry %s adjusts %d SKUs, not one", l.ID, len(e.Deltas))
	}
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", err, order.ErrInvalid)
	}
	return e, nil
}
