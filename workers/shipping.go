package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// ShippingConfig bounds how the Shipper and the ShipRescuer call the carrier.
type ShippingConfig struct {
	// Concurrency is how many calls of the carrier are made at once.
	Concurrency int
	// Batch is how many orders are leased, and their outcomes written, in one statement, at most.
	Batch int
	// ClaimWindow is how long after the claim of a batch its orders are offered for the first time. The claims of the others are released
	// then, so that they can be cancelled, and the next batch has as many orders as were offered: the carrier is slow.
	ClaimWindow time.Duration
	// MaxAttempts is how often an order is offered within one iteration, with a jittered backoff between two attempts that doubles from MinBackoff
	// to MaxBackoff.
	MaxAttempts            int
	MinBackoff, MaxBackoff time.Duration
	// CallWindow is how long an iteration begins calls; the remaining orders wait for the next one. The policy bounds each call.
	CallWindow time.Duration
	// Claim is how long an order is leased in SQL: longer than CallWindow and one call, and shorter than the message's lease, so that
	// the lease of the order has ended when the message is delivered again after a crash.
	Claim time.Duration
	// Grace is how long calls continue after the context of the iteration has ended, so that their outcome is known.
	Grace time.Duration
}

// DefaultShippingConfig tries three times within about a second, so that a short failure of the carrier does not show as SHIP_FAILED. The
// ship rescuer retries after longer ones. It leases 400 orders at once, as many as the order writer writes: the two transactions of a batch
// are then 0.02 statements an order, and at 20 ms a call the carrier takes a batch in less than a second. With 1,000 an order was not cheaper.
// ClaimWindow is as long as one call may take, and enough for a full batch of a carrier that takes 125 ms a call.
func DefaultShippingConfig() ShippingConfig {
	return ShippingConfig{
		Concurrency: 10, Batch: 400, MaxAttempts: 3, MinBackoff: 200 * time.Millisecond, MaxBackoff: time.Second,
		ClaimWindow: 5 * time.Second, CallWindow: 40 * time.Second, Claim: 50 * time.Second, Grace: 5 * time.Second,
	}
}

// ShipStore leases orders for shipping and writes shipments and states. SQL decides which orders may be shipped.
type ShipStore interface {
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
	ClaimShipping(ctx context.Context, ids []order.ID, lease time.Duration) (store.ShipClaims, error)
	ReleaseShippingClaims(ctx context.Context, ids []order.ID, claimedAt time.Time) error
	Ship(ctx context.Context, shipments []order.Shipment) (refused []order.ID, err error)
	MarkShipFailed(ctx context.Context, ids []order.ID) error
}

// ShippingClient ships orders with the carrier; it is idempotent by the order's id. order.ErrUnknownOutcome: the carrier may have the
// parcel. order.ErrInvalid: the carrier does not have it and will never take it. Any other error: it did not take it this time.
type ShippingClient interface {
	Ship(ctx context.Context, o order.Order) error
}

// CarrierLimiter is a ShippingClient that bounds the number of concurrent calls of all its users. Workers that get it share its slots.
type CarrierLimiter struct {
	carrier ShippingClient
	calls   *semaphore.Weighted
}

// NewCarrierLimiter makes a limiter of n concurrent calls.
func NewCarrierLimiter(n int, c ShippingClient) *CarrierLimiter {
	return &CarrierLimiter{carrier: c, calls: semaphore.NewWeighted(int64(n))}
}

// limiterOf returns the carrier if it is a limiter, or one of n concurrent calls for it.
func limiterOf(n int, c ShippingClient) *CarrierLimiter {
	if l, ok := c.(*CarrierLimiter); ok {
		return l
	}
	return NewCarrierLimiter(n, c)
}

// Ship waits for a free slot and makes the call. It returns order.ErrRejected, without a call, if ctx ends first.
func (l *CarrierLimiter) Ship(ctx context.Context, o order.Order) error {
	release, err := l.acquire(ctx)
	if err != nil {
		return fmt.Errorf("order %s was not shipped: %w: %w", o.ID, order.ErrRejected, err)
	}
	defer release()
	return l.carrier.Ship(ctx, o)
}

// acquire waits for a free slot, for one call of the carrier. It returns the error of ctx if that ends first.
func (l *CarrierLimiter) acquire(ctx context.Context) (release func(), err error) {
	if err := l.calls.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { l.calls.Release(1) }, nil
}

// shipping ships orders with the carrier. It leases them first in SQL, so that a cancelled order is never shipped, and an order that may
// have been shipped is never cancelled.
type shipping struct {
	cfg     ShippingConfig
	store   ShipStore
	carrier *CarrierLimiter
	// publisher publishes the states that were written.
	publisher publisher
	log       *slog.Logger
	now       func() time.Time
	// claim is how many orders the next batch claims, at most; 0 is ShippingConfig.Batch.
	claim int
}

// ship offers the orders. It returns how many were shipped, and those that were not offered within CallWindow or did not get all their attempts
// before ctx ended. Orders that were not offered because the carrier is unavailable are in neither: the ShipRescuer offers them.
func (s *shipping) ship(ctx context.Context, orders []order.Order) (shipped int, left []order.ID, err error) {
	deadline := s.now().Add(s.cfg.CallWindow)
	for len(orders) > 0 && ctx.Err() == nil && s.now().Before(deadline) {
		n := min(len(orders), cmp.Or(s.claim, s.cfg.Batch))
		b, err := s.batch(ctx, deadline, orders[:n])
		if err != nil {
			return shipped, nil, err
		}
		shipped += len(b.outcomes.taken)
		s.adapt(n, len(b.released)+len(b.kept))
		left = slices.Concat(left, orderIDs(b.kept), b.outcomes.stopped, b.outcomes.stoppedUnknown)
		orders = slices.Concat(b.released, orders[n:])
	}
	return shipped, append(left, orderIDs(orders)...), nil
}

// adapt sets how many orders the next batch claims: as many as this one offered of n, if some were left, or else twice as many as before.
func (s *shipping) adapt(n, left int) {
	if left > 0 {
		s.claim = max(s.cfg.Concurrency, n-left)
		return
	}
	s.claim = min(s.cfg.Batch, 2*cmp.Or(s.claim, s.cfg.Batch))
}

// outlive returns a context that ends grace after ctx does.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { sleep(out, grace); cancel() })
	return out, func() { stop(); cancel() }
}

// record writes the outcomes of a batch to SQL. It keeps the claims of orders that the carrier may have: those with an unknown outcome, also if
// the worker is being stopped, and those that had a claim before and were not taken this time, because the earlier claimant may have shipped them. It releases the
// claim of a refused order: the carrier identifies orders by their ids and reports that it does not have the parcel.
func (s *shipping) record(ctx context.Context, claims store.ShipClaims, v *outcomes) error {
	var errs []error
	if len(v.taken) > 0 {
		errs = append(errs, s.recordTaken(ctx, v.taken))
	}
	if failed := slices.Concat(v.refused, v.declined, v.unknown); len(failed) > 0 {
		err := s.store.MarkShipFailed(ctx, failed)
		if err == nil {
			s.decided(ctx, order.ShipFailed, failed)
		}
		errs = append(errs, err)
	}
	if len(v.unavailable) > 0 {
		s.log.WarnContext(ctx, "carrier is unavailable; the ship rescuer offers the orders", "orders", len(v.unavailable))
	}
	free := slices.Concat(v.refused, claimedFirst(claims, slices.Concat(v.declined, v.unavailable, v.stopped)))
	if len(free) > 0 {
		errs = append(errs, s.store.ReleaseShippingClaims(ctx, free, claims.At))
	}
	return errors.Join(errs...)
}

// claimedFirst returns those of the orders that had no claim before.
func claimedFirst(claims store.ShipClaims, ids []order.ID) []order.ID {
	return slices.DeleteFunc(slices.Clone(ids), func(id order.ID) bool { return claims.Orders[id] })
}

func (s *shipping) recordTaken(ctx context.Context, taken []order.Shipment) error {
	refused, err := s.store.Ship(ctx, taken)
	if err != nil {
		return err
	}
	ids := make([]order.ID, 0, len(taken))
	for _, p := range taken {
		if slices.Contains(refused, p.OrderID) {
			s.log.ErrorContext(ctx, "order was shipped, but its state in SQL no longer allows it", "order_id", p.OrderID)
			continue
		}
		ids = append(ids, p.OrderID)
	}
	s.decided(ctx, order.Shipped, ids)
	return nil
}

// decided publishes, after the commit, that orders became SHIPPED or SHIP_FAILED.
func (s *shipping) decided(ctx context.Context, to order.State, ids []order.ID) {
	s.log.DebugContext(ctx, "shipping decided", "state", to, "orders", len(ids))
	s.publisher.publish(ctx, to, ids)
}

func orderIDs(orders []order.Order) []order.ID {
	out := make([]order.ID, len(orders))
	for i, o := range orders {
		out[i] = o.ID
	}
	return out
}
