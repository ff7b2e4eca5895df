package app

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// TestConnectRocketMQ_Unavailable: the shop starts without it, because orders wait in the journal.
func TestConnectRocketMQ_Unavailable(t *testing.T) {
	var log bytes.Buffer
	c := QueueConfig{RocketMQ: realparts.FreeAddr(t), Topic: "t", TLS: true}
	b, err := connectRocketMQ(t.Context(), c, WorkerNames(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "RocketMQ is not ready") || !strings.Contains(text, c.RocketMQ) {
		t.Errorf("the log is %q", text)
	}
}

// TestQueueConfig_Access: a process needs the access of its own workers only.
func TestQueueConfig_Access(t *testing.T) {
	c := QueueConfig{Topic: "t"}
	for worker, want := range map[string][2][]string{
		workerRelay:  {{"t"}, nil},
		workerWriter: {{"t"}, {"orders"}},
		workerDrain:  {{"t", "%DLQ%orders", "%DLQ%shipping", "%DLQ%mail"}, {"dead-letters"}},
	} {
		if topics, groups := c.access([]string{worker}, "%DLQ%"); !slices.Equal(topics, want[0]) || !slices.Equal(groups, want[1]) {
			t.Errorf("%s: topics %v and groups %v, want %v", worker, topics, groups, want)
		}
	}
	if _, groups := c.access(WorkerNames(), ""); !slices.Equal(groups, []string{"dead-letters", "mail", "orders", "shipping"}) {
		t.Errorf("all workers: groups %v", groups)
	}
}
