package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// LostConfig sets up LostOrders.
type LostConfig struct {
	Partition uint8
	// After is how long after the end of an epoch the queue may still deliver its orders: several times as long as the order writer may
	// be behind. An order that arrives later is cancelled.
	After time.Duration
}

// DefaultLostConfig waits ten minutes.
func DefaultLostConfig() LostConfig { return LostConfig{After: 10 * time.Minute} }

// chargeInFlight is how long after the end of its epoch an order may still be charged: a checkout times out after 15 s.
const chargeInFlight = 20 * time.Second

// usedStale is how long after the end of an epoch a process may still take orders in it, on the Redis that was replaced: journal.Epochs stops
// one that is cut off from SQL and the Sentinels, or was stopped, after 10 s.
const usedStale = 15 * time.Second

// Journals lists the epochs of which the journal is not fully relayed.
type Journals interface {
	Epochs(ctx context.Context) ([]int64, error)
}

// LostOrders cancels the orders that were lost when Redis lost its data: those with deducted units and no row in SQL, and those of which
// only a charge is left, and those of which an operator discarded the dead letter. It enqueues their cancellations, which return the units and refund the charges. An iteration handles the closed
// epochs that are due; one that fails is scanned again.
type LostOrders struct {
	cfg           LostConfig
	holds         *store.Stock
	charges       *store.Charges
	hot           *stock.Stock
	journals      Journals
	cancellations *store.Cancellations
	log           *slog.Logger
	now           func() time.Time
}

// NewLostOrders makes the worker. Several may run.
func NewLostOrders(
	cfg LostConfig, holds *store.Stock, charges *store.Charges, hot *stock.Stock, journals Journals, cancellations *store.Cancellations, log *slog.Logger,
) *LostOrders {
	return &LostOrders{
		cfg: cfg, holds: holds, charges: charges, hot: hot, journals: journals, cancellations: cancellations, now: time.Now,
		log: log.With("worker", "lost_orders"),
	}
}

// Run scans for lost orders until ctx ends.
func (l *LostOrders) Run(ctx context.Context) { pollRecovery(ctx, l.log, l.RunOnce) }

// RunOnce scans the closed epochs that are due, and returns how many lost orders it found. An epoch that fails does not block the later ones.
func (l *LostOrders) RunOnce(ctx context.Context) (int, error) {
	epochs, err := l.holds.Unreconciled(ctx, l.cfg.Partition, l.now().Add(-max(l.cfg.After, usedStale+chargeInFlight)))
	if err != nil || len(epochs) == 0 {
		return 0, err
	}
	unrelayed, err := l.journals.Epochs(ctx)
	if err != nil {
		return 0, err
	}
	discarded, err := l.holds.Discards(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	var errs []error
	for _, e := range epochs {
		if slices.Contains(unrelayed, e.Number) {
			continue // The rest of its journal is still to be relayed.
		}
		n, err := l.reconcile(ctx, e, discarded)
		if err != nil {
			errs = append(errs, fmt.Errorf("epoch %d: %w", e.Number, err))
		}
		total += n
	}
	return total, errors.Join(errs...)
}

// reconcile scans one epoch; discarded is the number of dead letters that were discarded before.
func (l *LostOrders) reconcile(ctx context.Context, e journal.Epoch, discarded int) (int, error) {
	holds, err := l.holds.LostHolds(ctx, e)
	if err != nil {
		return 0, err
	}
	ids := make([]order.ID, len(holds))
	for i, h := range holds {
		ids[i] = h.OrderID
	}
	hot, err := l.awaited(ctx, ids)
	if err != nil {
		return 0, err
	}
	var lost []store.Cancellation
	for _, h := range holds {
		if _, ok := hot[h.OrderID]; !ok {
			lost = append(lost, store.Cancellation{OrderID: h.OrderID, Reason: order.CancelledAs(order.CancelLost, ""), Actor: lostOrdersActor, Units: h.Deltas})
		}
	}
	if err := l.cancellations.Enqueue(ctx, lost); err != nil {
		return 0, err
	}
	charges, err := l.refundLost(ctx, e)
	if err != nil {
		return 0, err
	}
	n := len(lost) + charges.refunded
	if n > 0 {
		l.log.WarnContext(
			ctx,
			"orders were lost with the data of Redis; returning their units and refunding their charges",
			"epoch",
			e.Number,
			"holding_stock",
			len(lost),
			"charged_only",
			charges.refunded,
		)
	}
	if len(hot)+charges.hot > 0 {
		// Redis has these orders, so their rows will be written. The epoch is scanned again until they are, or until Redis has lost them.
		return n, nil
	}
	return n, l.holds.Reconciled(ctx, e.Partition, e.Number, discarded)
}

// lostChargesPage is how many charges are read at once: more than one commit of the ledger writes with the same time.
const lostChargesPage = 1000

// lostCharges counts the charges of a closed epoch for orders that SQL does not have.
type lostCharges struct {
	// refunded is the number with an enqueued refund, hot the number for orders that Redis still has.
	refunded, hot int
}

func (c *lostCharges) add(o lostCharges) {
	c.refunded += o.refunded
	c.hot += o.hot
}

// refundLost enqueues the refunds of the epoch's charges for orders without a row, which Redis does not have either, or which were discarded.
func (l *LostOrders) refundLost(ctx context.Context, e journal.Epoch) (lostCharges, error) {
	var total lostCharges
	for from := e.OpenedAt; ; {
		page, err := l.charges.LostCharges(ctx, from, e.ClosedAt.Add(usedStale+chargeInFlight), lostChargesPage)
		if err != nil {
			return total, err
		}
		n, err := l.enqueueRefunds(ctx, e, page)
		total.add(n)
		if err != nil || len(page) < lostChargesPage {
			return total, err
		}
		from = page[len(page)-1].CreatedAt
	}
}

// enqueueRefunds enqueues the refunds of a page of charges. It omits hot orders, and orders that are too late for the epoch, which may be
// charged while the last charges of this one are in flight.
func (l *LostOrders) enqueueRefunds(ctx context.Context, e journal.Epoch, page []order.Charge) (lostCharges, error) {
	var ids []order.ID
	for _, ch := range page {
		if ch.OrderID.Time().Before(e.ClosedAt.Add(usedStale)) {
			ids = append(ids, ch.OrderID)
		}
	}
	hot, err := l.awaited(ctx, ids)
	if err != nil {
		return lostCharges{}, err
	}
	var lost []store.Cancellation
	for _, id := range ids {
		if _, ok := hot[id]; !ok {
			lost = append(lost, store.Cancellation{OrderID: id, Reason: order.CancelledAs(order.CancelLost, ""), Actor: lostOrdersActor})
		}
	}
	return lostCharges{refunded: len(lost), hot: len(hot)}, l.cancellations.Enqueue(ctx, lost)
}
