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

// crier is an Announcer that remembers.
type crier struct {
	told []journal.Change
	err  error
}

func (c *crier) Publish(ctx context.Context, changes []journal.Change) error {
	c.told = append(c.told, changes...)
	return errors.Join(ctx.Err(), c.err)
}

// TestAnnouncer_CommittedStatesArePublished also by a worker that is being stopped, and a failure to tell is none of the work.
func TestAnnouncer_CommittedStatesArePublished(t *testing.T) {
	c := &crier{err: errors.New("no route")}
	a := announcing{to: c, log: slog.New(slog.DiscardHandler)}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	a.became(stopped, order.Shipped, []order.ID{"a", "b"})
	a.became(t.Context(), order.ShipFailed, nil)
	states := []order.State{}
	for _, told := range c.told {
		states = append(states, told.State)
	}
	if !slices.Equal(states, []order.State{order.Shipped, order.Shipped}) || c.told[1].OrderID != "b" || c.told[0].At.IsZero() {
		t.Errorf("told %v", c.told)
	}
	announcing{}.became(t.Context(), order.Shipped, []order.ID{"a"}) // nobody to tell
}
