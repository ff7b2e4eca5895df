package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// ChangePublisher publishes states that SQL decided to the watchers of orders. Watchers read what Redis decides from the journal.
type ChangePublisher interface {
	Publish(ctx context.Context, changes []journal.Change) error
}

// publisher publishes a worker's changes; the zero value publishes nothing.
type publisher struct {
	to  ChangePublisher
	log *slog.Logger
}

// publish publishes that the orders are in the state. Call it after the commit; publishing a state twice does no harm. It is best
// effort: watchers that miss the change find it at the next resync, within seconds (server.HubConfig.ResyncInterval).
func (p publisher) publish(ctx context.Context, state order.State, ids []order.ID) {
	if p.to == nil || len(ids) == 0 {
		return
	}
	changes, now := make([]journal.Change, len(ids)), time.Now()
	for i, id := range ids {
		changes[i] = journal.Change{OrderID: id, State: state, At: now}
	}
	// The commit is made, so a worker that is being stopped publishes it too. Publish has a bound of its own.
	if err := p.to.Publish(context.WithoutCancel(ctx), changes); err != nil {
		p.log.WarnContext(ctx, "failed to publish a change to watchers; they find it at the next resync", "state", state, "orders", len(ids), "error", err)
	}
}

// WithPublisher sets where the shipper publishes the states that it wrote.
func (s *Shipper) WithPublisher(to ChangePublisher) *Shipper {
	s.shipping.publisher = publisher{to: to, log: s.log}
	return s
}

// WithPublisher sets where the rescuer publishes the states that it wrote.
func (r *ShipRescuer) WithPublisher(to ChangePublisher) *ShipRescuer {
	r.shipping.publisher = publisher{to: to, log: r.log}
	return r
}
