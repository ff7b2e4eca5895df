package workers

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// LostConfig sets up LostOrders.
type LostConfig struct {
	Partition uint8
	// After is how long after the end of an epoch its orders may still be on their way through the queue: several times as long as
	// the order writer may be behind. An order that comes later than that is cancelled.
	After time.Duration
}

// DefaultLostConfig waits ten minutes.
func DefaultLostConfig() LostConfig { return LostConfig{After: 10 * time.Minute} }

// chargeInFlight is how long after the end of its epoch an order may still be charged: a checkout gives up after 15 s.
const chargeInFlight = 20 * time.Second

// LostOrderStore is what SQL knows of epochs and of whose stock was taken in them.
type LostOrderStore interface {
	Unreconciled(ctx context.Context, partition uint8, closedBefore time.Time) ([]journal.Epoch, error)
	LostHolds(ctx context.Context, e journal.Epoch) ([]store.Hold, error)
	Reconciled(ctx context.Context, partition uint8, epoch int64) error
}

// LostLedger knows charges of orders that nothing else knows.
type LostLedger interface {
	LostCharges(ctx context.Context, from, to time.Time, limit int) ([]order.Charge, error)
}

// HotStates are the states of the orders that Redis remembers.
type HotStates interface {
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
}

// Journals lists the epochs whose journals are not relayed to their end.
type Journals interface {
	Epochs(ctx context.Context) ([]int64, error)
}

// LostOrders finds the orders that were lost with a Redis that lost its data: those whose stock SQL deducted and whose row never came,
// and those that were charged and of which there is nothing else. It writes down that their units and their money go back.
type LostOrders struct {
	cfg      LostConfig
	books    LostOrderStore
	ledger   LostLedger
	hot      HotStates
	journals Journals
	intents  Intents
	log      *slog.Logger
	now      func() time.Time
}

// NewLostOrders makes the worker. Several may run.
func NewLostOrders(cfg LostConfig, books LostOrderStore, ledger LostLedger, hot HotStates, journals Journals, intents Intents, log *slog.Logger) *LostOrders {
	return &LostOrders{
		cfg: cfg, books: books, ledger: ledger, hot: hot, journals: journals, intents: intents, now: time.Now, log: log.With("worker", "lost_orders"),
	}
}

// Run looks for lost orders until ctx ends.
func (l *LostOrders) Run(ctx context.Context) { pollRecovery(ctx, l.log, l.RunOnce) }

// RunOnce looks at the closed epochs whose time has come, and returns how many orders were found lost.
func (l *LostOrders) RunOnce(ctx context.Context) (int, error) {
	epochs, err := l.books.Unreconciled(ctx, l.cfg.Partition, l.now().Add(-max(l.cfg.After, chargeInFlight)))
	if err != nil || len(epochs) == 0 {
		return 0, err
	}
	unrelayed, err := l.journals.Epochs(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, e := range epochs {
		if slices.Contains(unrelayed, e.Number) {
			continue // What its journal still holds is on its way.
		}
		n, err := l.reconcile(ctx, e)
		if err != nil {
			return total, fmt.Errorf("epoch %d: %w", e.Number, err)
		}
		total += n
	}
	return total, nil
}

func (l *LostOrders) reconcile(ctx context.Context, e journal.Epoch) (int, error) {
	holds, err := l.books.LostHolds(ctx, e)
	if err != nil {
		return 0, err
	}
	ids := make([]order.ID, len(holds))
	for i, h := range holds {
		ids[i] = h.OrderID
	}
	hot, err := l.remembered(ctx, ids)
	if err != nil {
		return 0, err
	}
	var intents []store.Cancellation
	for _, h := range holds {
		if _, ok := hot[h.OrderID]; !ok {
			intents = append(intents, store.Cancellation{OrderID: h.OrderID, Reason: order.CancelledAs(order.CancelLost, ""), Actor: lostOrdersActor, Units: h.Deltas})
		}
	}
	if err := l.intents.Enqueue(ctx, intents); err != nil {
		return 0, err
	}
	charges, err := l.refundLost(ctx, e)
	if err != nil {
		return 0, err
	}
	n := len(intents) + charges.refunded
	if n > 0 {
		l.log.WarnContext(ctx, "orders were lost with their Redis; their units and money are returned", "epoch", e.Number, "holding_stock", len(intents), "charged_only", charges.refunded)
	}
	if len(hot)+charges.hot > 0 {
		// Redis still has these, so that their rows will be written. The epoch is read again until they are, or until Redis has lost them.
		return n, nil
	}
	return n, l.books.Reconciled(ctx, e.Partition, e.Number)
}

// remembered are those of the orders that Redis has.
func (l *LostOrders) remembered(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	out := make(map[order.ID]order.State)
	for chunk := range slices.Chunk(ids, recoveryBatch) {
		states, err := l.hot.States(ctx, chunk)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, states)
	}
	return out, nil
}

// lostChargesPage is how many charges are read at once: more than one commit of the ledger writes with one time.
const lostChargesPage = 1000

// lostCharges counts the charges of a closed epoch for orders that SQL does not have.
type lostCharges struct {
	// refunded are those whose refund is written down, hot those of orders that Redis still has.
	refunded, hot int
}

func (c *lostCharges) add(o lostCharges) {
	c.refunded += o.refunded
	c.hot += o.hot
}

// refundLost writes down the refunds of the epoch's charges for orders that are nowhere else.
func (l *LostOrders) refundLost(ctx context.Context, e journal.Epoch) (lostCharges, error) {
	var total lostCharges
	for from := e.OpenedAt; ; {
		page, err := l.ledger.LostCharges(ctx, from, e.ClosedAt.Add(chargeInFlight), lostChargesPage)
		if err != nil {
			return total, err
		}
		n, err := l.intendRefunds(ctx, e, page)
		total.add(n)
		if err != nil || len(page) < lostChargesPage {
			return total, err
		}
		from = page[len(page)-1].CreatedAt
	}
}

// intendRefunds leaves out orders of the next epoch, which were charged while this one's last charges were in flight, and hot orders.
func (l *LostOrders) intendRefunds(ctx context.Context, e journal.Epoch, page []order.Charge) (lostCharges, error) {
	var ids []order.ID
	for _, ch := range page {
		if ch.OrderID.Time().Before(e.ClosedAt) {
			ids = append(ids, ch.OrderID)
		}
	}
	hot, err := l.remembered(ctx, ids)
	if err != nil {
		return lostCharges{}, err
	}
	var intents []store.Cancellation
	for _, id := range ids {
		if _, ok := hot[id]; !ok {
			intents = append(intents, store.Cancellation{OrderID: id, Reason: order.CancelledAs(order.CancelLost, ""), Actor: lostOrdersActor})
		}
	}
	return lostCharges{refunded: len(intents), hot: len(hot)}, l.intents.Enqueue(ctx, intents)
}
