package app

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/spillway/spillway/store"
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

// TestApp_DrainedWithRocketMQ: what is in RocketMQ stays there. Each worker that reads it would wait for its poll timeout, which is longer than a shutdown
// may take for all of them.
func TestApp_DrainedWithRocketMQ(t *testing.T) {
	for durability, want := range map[string][]string{
		store.DurabilityJournal: {workerFlusher, workerRelay, workerWriter},
		store.DurabilitySQL:     {workerFlusher, workerRelay},
	} {
		t.Run(durability, func(t *testing.T) {
			cfg := DefaultConfig(RoleAll)
			cfg.Orders.Durability, cfg.Queue.RocketMQ, cfg.Drain.Writers = durability, realparts.FreeAddr(t), 2
			var got []string
			for _, w := range openForWorkers(t, cfg).drained() {
				got = append(got, w.name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("a shutdown drains %v, want %v", got, want)
			}
		})
	}
}
