package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

// stubConsumer delivers one message per Receive and records the acknowledged ones.
type stubConsumer struct {
	fakePort
	sent  int
	acked []string
}

func (c *stubConsumer) Consumer(string, string) (queue.Consumer, error) { return c, nil }

func (c *stubConsumer) Receive(context.Context, int, time.Duration) ([]queue.Message, error) {
	c.sent++
	return []queue.Message{{ID: fmt.Sprint(c.sent)}}, nil
}

func (c *stubConsumer) Ack(_ context.Context, messages ...queue.Message) error {
	for _, m := range messages {
		c.acked = append(c.acked, m.ID)
	}
	return nil
}

func TestDrop_EveryThirdOfOneGroup(t *testing.T) {
	t.Parallel()
	for group, want := range map[string][]string{"orders": {"1", "2", "4", "5"}, "mail": {"1", "2", "3", "4", "5", "6"}} {
		stub := &stubConsumer{}
		c, err := queue.Drop(stub, "orders", 3, slog.New(slog.DiscardHandler)).Consumer("topic", group)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range 6 {
			messages, err := c.Receive(t.Context(), 1, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				got = append(got, m.ID)
			}
		}
		if !slices.Equal(got, want) || len(got)+len(stub.acked) != 6 {
			t.Errorf("group %s received %v, and %v were acknowledged; want %v and the rest", group, got, stub.acked, want)
		}
	}
}
