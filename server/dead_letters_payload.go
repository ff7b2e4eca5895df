package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// showPayload is a letter's payload as JSON; one that cannot be read is {"base64": "..."}.
func showPayload(typ string, raw []byte) string {
	show := wire.PayloadJSON
	if typ == journal.DeadLetterType {
		show = func(_ string, raw []byte) (json.RawMessage, error) { return showEntry(raw) }
	}
	if text, err := show(typ, raw); err == nil {
		return string(text)
	}
	return `{"base64":"` + base64.StdEncoding.EncodeToString(raw) + `"}`
}

// readPayload reads the JSON of showPayload, which may have been edited, and returns the order that it belongs to, if it is one.
func readPayload(typ string, text []byte) (raw []byte, orderID string, err error) {
	if typ == journal.DeadLetterType {
		return readEntry(text)
	}
	return wire.PayloadFromJSON(typ, text)
}

// entryFields is a journal.DeadLetter with its snapshot as a readable message.
type entryFields struct {
	ID       string            `json:"id"`
	Fields   map[string]string `json:"fields"`
	Base64   map[string][]byte `json:"base64,omitempty"`
	Cut      map[string]int    `json:"cut,omitempty"`
	Snapshot json.RawMessage   `json:"snapshot,omitempty"`
}

func showEntry(raw []byte) (json.RawMessage, error) {
	var e entryFields
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	var snapshot []byte
	if len(e.Snapshot) > 0 {
		if err := json.Unmarshal(e.Snapshot, &snapshot); err != nil {
			return nil, err
		}
		e.Snapshot = wire.ShowSnapshot(snapshot)
	}
	return json.Marshal(e)
}

func readEntry(text []byte) (raw []byte, orderID string, err error) {
	raw, orderID, err = entryOf(text)
	if err != nil {
		return nil, "", order.Refuse(order.ErrInvalid, order.ReasonInvalidField, "this is not a journal entry that can be applied: %s", err)
	}
	return raw, orderID, nil
}

func entryOf(text []byte) (raw []byte, orderID string, err error) {
	var e entryFields
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return nil, "", fmt.Errorf(`take {"id": "...", "fields": {...}, "snapshot": {...}}: %w`, err)
	}
	if len(e.Snapshot) > 0 {
		snapshot, err := wire.ReadSnapshot(e.Snapshot)
		if err != nil {
			return nil, "", err
		}
		if e.Snapshot, err = json.Marshal(snapshot); err != nil {
			return nil, "", err
		}
	}
	if raw, err = json.Marshal(e); err != nil {
		return nil, "", err
	}
	entry, err := journal.UnmarshalDeadLetter(raw)
	if err != nil {
		return nil, "", err
	}
	return raw, string(entry.OrderID), checkEntry(entry)
}

// checkEntry returns the reason why an entry that can be read cannot be applied.
func checkEntry(e journal.Entry) error {
	switch e.Kind {
	case journal.Reserved, journal.Settled, journal.Released:
	default: // It carries no order.
		return nil
	}
	o, err := wire.UnmarshalSnapshot(e.Snapshot)
	if err == nil && o.ID != e.OrderID {
		err = fmt.Errorf("the entry of order %q carries order %q", e.OrderID, o.ID)
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	_, err = order.ParseID(string(e.OrderID))
	return err
}
