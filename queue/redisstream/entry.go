package redisstream

import (
	"strings"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
)

// An entry has the field "b", the body, and a field "h:NAME" for each header.
const (
	bodyField    = "b"
	headerPrefix = "h:"
)

// add is the command that stores a message.
func (b *Broker) add(topic string, m queue.Outgoing) rueidis.Completed {
	cmd := b.client.B().Xadd().Key(b.cfg.Key(topic)).Id("*").FieldValue().FieldValue(bodyField, rueidis.BinaryString(m.Body))
	for k, v := range m.Headers {
		cmd = cmd.FieldValue(headerPrefix+k, v)
	}
	return cmd.Build()
}

// message reads what add wrote.
func message(e rueidis.XRangeEntry, attempt int) queue.Message {
	m := queue.Message{ID: e.ID, Headers: make(map[string]string), Attempt: attempt, Receipt: e.ID}
	for k, v := range e.FieldValues {
		if k == bodyField {
			m.Body = []byte(v)
		} else if name, ok := strings.CutPrefix(k, headerPrefix); ok {
			m.Headers[name] = v
		}
	}
	return m
}

// ids are those of the messages that came from this adapter.
func ids(messages []queue.Message) []string {
	out := make([]string, 0, len(messages))
	for _, m := range messages {
		if id, ok := m.Receipt.(string); ok {
			out = append(out, id)
		}
	}
	return out
}
