package workers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// fakePublisher is a ChangePublisher that records the changes.
type fakePublisher struct {
	published []journal.Change
	err       error
}

func (c *fakePublisher) Publish(ctx context.Context, changes []journal.Change) error {
	c.published = append(c.published, changes...)
	return errors.Join(ctx.Err(), c.err)
}

// TestPublisher_CommittedStatesArePublished also by a worker that is being stopped, and a failure to publish does not fail the worker.
func TestPublisher_CommittedStatesArePublished(t *testing.T) {
	c := &fakePublisher{err: errors.New("no route")}
	p := publisher{to: c, log: slog.New(slog.DiscardHandler)}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	p.publish(stopped, order.Shipped, []order.ID{"a", "b"})
	p.publish(t.Context(), order.ShipFailed, nil)
	states := []order.State{}
	for _, change := range c.published {
		states = append(states, change.State)
	}
	if !slices.Equal(states, []order.State{order.Shipped, order.Shipped}) || c.published[1].OrderID != "b" || c.published[0].At.IsZero() {
		t.Errorf("published %v", c.published)
	}
	publisher{}.publish(t.Context(), order.Shipped, []order.ID{"a"}) // There is no publisher.
}
