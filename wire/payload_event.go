package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// fieldSnapshot is the field of an OrderEvent that holds a marshalled OrderSnapshot.
const fieldSnapshot = "snapshot"

// ShowSnapshot formats a marshalled OrderSnapshot as JSON, or as a base64 string if it cannot be parsed.
func ShowSnapshot(raw []byte) json.RawMessage {
	if shown, err := snapshotPayload.show(raw); err == nil {
		if text, ok := shown.(json.RawMessage); ok {
			return text
		}
	}
	return json.RawMessage(`"` + base64.StdEncoding.EncodeToString(raw) + `"`)
}

// ReadSnapshot is the inverse of ShowSnapshot.
func ReadSnapshot(text json.RawMessage) ([]byte, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte(`{`)) {
		var m spillwayv1.OrderSnapshot
		if err := protojson.Unmarshal(text, &m); err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		return proto.Marshal(&m)
	}
	var raw []byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, errors.New("snapshot: take an OrderSnapshot, or its bytes in base64")
	}
	return raw, nil
}

// showEvent formats a marshalled OrderEvent, with its snapshot as JSON.
func showEvent(raw []byte) (any, error) {
	var m spillwayv1.OrderEvent
	if err := proto.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	return eventFields(&m)
}

// eventFields returns the JSON fields of an event, with its snapshot as JSON.
func eventFields(m *spillwayv1.OrderEvent) (map[string]json.RawMessage, error) {
	snapshot := m.GetSnapshot()
	rest, ok := proto.Clone(m).(*spillwayv1.OrderEvent)
	if !ok {
		return nil, errors.New("an event was cloned to something else")
	}
	rest.Snapshot = nil
	text, err := protoJSON(rest)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	fields[fieldSnapshot] = ShowSnapshot(snapshot)
	return fields, nil
}

// readEvent is the inverse of showEvent.
func readEvent(text []byte) ([]byte, error) {
	m, err := eventOf(text)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(m)
}

// eventOf parses the JSON of an event, with its snapshot as JSON or in base64.
func eventOf(text []byte) (*spillwayv1.OrderEvent, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("an event is a JSON object: %w", err)
	}
	snapshot, ok := fields[fieldSnapshot]
	if !ok {
		return nil, errors.New("the event has no snapshot")
	}
	delete(fields, fieldSnapshot)
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	var m spillwayv1.OrderEvent
	if err := protojson.Unmarshal(rest, &m); err != nil {
		return nil, err
	}
	m.Snapshot, err = ReadSnapshot(snapshot)
	return &m, err
}

// checkEvent fails if the event cannot be applied, and returns the id of its order.
func checkEvent(raw []byte) (string, error) {
	var m spillwayv1.OrderEvent
	if err := proto.Unmarshal(raw, &m); err != nil {
		return "", err
	}
	return m.GetOrderId(), applicable(&m)
}

// applicable returns the reason why an event cannot be applied, or nil.
func applicable(m *spillwayv1.OrderEvent) error {
	if m.GetTime() == nil {
		return errors.New("the event has no time")
	}
	if _, err := FromEvent(m); err != nil {
		return err
	}
	_, err := order.ParseID(m.GetOrderId())
	return err
}

// batchFields is the JSON form of an OrderEventBatch.
type batchFields[T any] struct {
	Events []T `json:"events"`
}

// showBatch formats a marshalled OrderEventBatch, with the snapshots as JSON.
func showBatch(raw []byte) (any, error) {
	m, err := UnmarshalBatch(raw)
	if err != nil {
		return nil, err
	}
	out := batchFields[map[string]json.RawMessage]{}
	for _, e := range m.GetEvents() {
		fields, err := eventFields(e)
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, fields)
	}
	return out, nil
}

// readBatch is the inverse of showBatch.
func readBatch(text []byte) ([]byte, error) {
	var in batchFields[json.RawMessage]
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf(`take {"events": [...]}: %w`, err)
	}
	out := &spillwayv1.OrderEventBatch{}
	for i, e := range in.Events {
		m, err := eventOf(e)
		if err != nil {
			return nil, fmt.Errorf("events[%d]: %w", i, err)
		}
		out.Events = append(out.Events, m)
	}
	return proto.Marshal(out)
}

// checkBatch fails if an event of the batch cannot be applied. It returns no order id.
func checkBatch(raw []byte) (string, error) {
	m, err := UnmarshalBatch(raw)
	if err != nil {
		return "", err
	}
	for i, e := range m.GetEvents() {
		if err := applicable(e); err != nil {
			return "", fmt.Errorf("events[%d]: %w", i, err)
		}
	}
	if len(m.GetEvents()) == 1 {
		return m.GetEvents()[0].GetOrderId(), nil
	}
	return "", nil
}
