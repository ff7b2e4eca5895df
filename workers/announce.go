package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Announcer tells those who watch orders what SQL decided about them. What Redis decides they read in the journal.
type Announcer interface {
	Publish(ctx context.Context, changes []journal.Change) error
}

// announcing is a worker's way to its Announcer; the zero value tells nobody.
type announcing struct {
	to  Announcer
	log *slog.Logger
}

// became tells that the orders are in the state. Call it after the commit, also of those that were in it before: to be told twice does no
// harm. It is best effort, for the work is done: who is not told now finds out within seconds (server.HubConfig.ResyncInterval).
func (a announcing) became(ctx context.Context, state order.State, ids []order.ID) {
	if a.to == nil || len(ids) == 0 {
		return
	}
	changes, now := make([]journal.Change, len(ids)), time.Now()
	for i, id := range ids {
		changes[i] = journal.Change{OrderID: id, State: state, At: now}
	}
	// The commit is made, so a worker that is being stopped tells it too. Publish has a bound of its own.
	if err := a.to.Publish(context.WithoutCancel(ctx), changes); err != nil {
		a.log.WarnContext(ctx, "watchers were not told of a change; they find it later", "state", state, "orders", len(ids), "error", err)
	}
}

// Announcing lets the shipper tell what became of the orders.
func (s *Shipper) Announcing(to Announcer) *Shipper {
	s.shipping.announce = announcing{to: to, log: s.log}
	return s
}

// Announcing lets the rescuer tell what became of the orders.
func (r *ShipRescuer) Announcing(to Announcer) *ShipRescuer {
	r.shipping.announce = announcing{to: to, log: r.log}
	return r
}
