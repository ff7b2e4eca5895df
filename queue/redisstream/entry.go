package redisstream

import (
	"strings"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
)

// An entry has the field "b" for the body and a field "h:NAME" for each header.
const (
	bodyField    = "b"
	headerPrefix = "h:"
)

// add returns the command that stores a message.
func (b *Broker) add(topic string, m queue.Outgoing) rueidis.Completed {
	cmd := b.client.B().Xadd().Key(b.cfg.Key(topic)).Id("*").FieldValue().FieldValue(bodyField, rueidis.BinaryString(m.Body))
	for k, v := range m.Headers {
		cmd = cmd.FieldValue(headerPrefix+k, v)
	}
	return cmd.Build()
}

// message decodes an entry of add.
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

// ids returns the ids of those messages that this adapter delivered.
func ids(messages []queue.Message) []string {
	out := make([]string, 0, len(messages))
	for _, m := range messages {
		if id, ok := m.Receipt.(string); ok {
			out = append(out, id)
		}
	}
	return out
}
