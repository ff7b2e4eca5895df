package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// ShippingConfig bounds how the Shipper and the ShipRescuer call the carrier.
type ShippingConfig struct {
	// Concurrency is how many calls of the carrier are made at once.
	Concurrency int
	// Batch is how many orders are leased, and their outcomes written, in one statement.
	Batch int
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
func DefaultShippingConfig() ShippingConfig {
	return ShippingConfig{
		Concurrency: 10, Batch: 400, MaxAttempts: 3, MinBackoff: 200 * time.Millisecond, MaxBackoff: time.Second,
		CallWindow: 40 * time.Second, Claim: 50 * time.Second, Grace: 5 * time.Second,
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

// CarrierLimiter is a ShippingClient that bounds the number of concurrent calls of all its users.
type CarrierLimiter struct {
	carrier ShippingClient
	calls   *semaphore.Weighted
}

// NewCarrierLimiter makes a limiter of n concurrent calls.
func NewCarrierLimiter(n int, c ShippingClient) *CarrierLimiter {
	return &CarrierLimiter{carrier: c, calls: semaphore.NewWeighted(int64(n))}
}

// Ship waits for a free slot and makes the call. It returns order.ErrRejected, without a call, if ctx ends first.
func (l *CarrierLimiter) Ship(ctx context.Context, o order.Order) error {
	if err := l.calls.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("order %s was not shipped: %w: %w", o.ID, order.ErrRejected, err)
	}
	defer l.calls.Release(1)
	return l.carrier.Ship(ctx, o)
}

// shipping ships orders with the carrier. It leases them first in SQL, so that a cancelled order is never shipped, and an order that may
// have been shipped is never cancelled.
type shipping struct {
	cfg     ShippingConfig
	store   ShipStore
	carrier ShippingClient
	// publisher publishes the states that were written.
	publisher publisher
	log       *slog.Logger
	now       func() time.Time
}

// ship offers the orders. It returns how many were shipped, and those that were not offered within CallWindow.
func (s *shipping) ship(ctx context.Context, orders []order.Order) (shipped int, left []order.ID, err error) {
	deadline := s.now().Add(s.cfg.CallWindow)
	for chunk := range slices.Chunk(orders, s.cfg.Batch) {
		if ctx.Err() != nil || s.now().After(deadline) {
			left = append(left, orderIDs(chunk)...)
			continue
		}
		b, err := s.batch(ctx, deadline, chunk)
		if err != nil {
			return shipped, nil, err
		}
		shipped += len(b.taken)
		left = append(left, b.untried...)
	}
	return shipped, left, nil
}

// outcomes are the outcomes of a batch of orders.
type outcomes struct {
	mu sync.Mutex
	// taken are the orders that the carrier has.
	taken []order.Shipment
	// refused are orders that the carrier does not have and will never take, declined those that it did not take this time, unknown those
	// that it may have, and untried those that were not offered.
	refused, declined, unknown, untried []order.ID
}

func (s *shipping) batch(ctx context.Context, deadline time.Time, orders []order.Order) (*outcomes, error) {
	claims, err := s.store.ClaimShipping(ctx, orderIDs(orders), s.cfg.Claim)
	if err != nil {
		return nil, err
	}
	claimed := slices.DeleteFunc(slices.Clone(orders), func(o order.Order) bool { _, ok := claims.Orders[o.ID]; return !ok })
	calls, cancel := outlive(ctx, s.cfg.Grace)
	defer cancel()
	var v outcomes
	forEach(s.cfg.Concurrency, claimed, func(o order.Order) { s.offer(ctx, calls, deadline, o, &v) })
	// The outcomes are written also when ctx has ended.
	return &v, s.record(context.WithoutCancel(ctx), claims, &v)
}

// outlive returns a context that ends grace after ctx does.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { sleep(out, grace); cancel() })
	return out, func() { stop(); cancel() }
}

// offer calls the carrier for one order until it takes or refuses it, or the tries or the time are used up.
func (s *shipping) offer(ctx, calls context.Context, deadline time.Time, o order.Order, v *outcomes) {
	unknown, tried := false, 0
	backoff := s.cfg.MinBackoff
	for calls.Err() == nil && s.now().Before(deadline) {
		err := s.carrier.Ship(calls, o)
		tried++
		if err == nil || errors.Is(err, order.ErrInvalid) {
			v.add(s.log, o, err, s.now())
			return
		}
		unknown = unknown || errors.Is(err, order.ErrUnknownOutcome)
		if tried == s.cfg.MaxAttempts || ctx.Err() != nil {
			s.log.WarnContext(ctx, "carrier did not take an order", "order_id", o.ID, "tries", tried, "unknown", unknown, "error", err)
			break
		}
		sleep(ctx, backoff/2+rand.N(backoff/2+1)) //nolint:gosec // Jitter needs no secrecy.
		backoff = min(2*backoff, s.cfg.MaxBackoff)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case unknown:
		v.unknown = append(v.unknown, o.ID)
	case tried > 0:
		v.declined = append(v.declined, o.ID)
	default:
		v.untried = append(v.untried, o.ID)
	}
}

// add adds an order that the carrier has, if err is nil, or will never take.
func (v *outcomes) add(log *slog.Logger, o order.Order, err error, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		log.Error("carrier will never take an order", "order_id", o.ID, "error", err)
		v.refused = append(v.refused, o.ID)
		return
	}
	v.taken = append(v.taken, order.Shipment{OrderID: o.ID, TrackingID: o.TrackingID, ShippedAt: now.UTC()})
}

// record writes the outcomes of a batch to SQL. It keeps the claims of orders that the carrier may have: those with an unknown outcome,
// and those that had a claim before and were not taken this time, because the earlier claimant may have shipped them. It releases the
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
	free := slices.Clone(v.refused)
	for _, id := range slices.Concat(v.declined, v.untried) {
		if before := claims.Orders[id]; !before {
			free = append(free, id)
		}
	}
	if len(free) > 0 {
		errs = append(errs, s.store.ReleaseShippingClaims(ctx, free, claims.At))
	}
	return errors.Join(errs...)
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
