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

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// ShippingConfig bounds how orders are handed to the carrier, by the Shipper and the ShipRescuer alike.
type ShippingConfig struct {
	// Concurrency is how many calls of the carrier are under way at most.
	Concurrency int
	// Batch is how many orders are claimed, and written down, in one statement.
	Batch int
	// Tries is how often an order is offered within a turn. Between two tries there is a jittered pause, from MinBackoff, doubling, to MaxBackoff.
	Tries                  int
	MinBackoff, MaxBackoff time.Duration
	// Turn is for how long a turn begins calls; what is left then waits for the next one. A call itself is bounded by its policy.
	Turn time.Duration
	// Claim is for how long nobody else offers a claimed order: longer than Turn and one call, and shorter than the message's lease, so
	// that a message which comes again after a crash finds the order free.
	Claim time.Duration
	// Grace is for how long the calls of a turn go on when its context ended: those under way finish, so that their outcome is known.
	Grace time.Duration
}

// DefaultShippingConfig tries three times within a second or so: what passes quickly should not show as SHIP_FAILED, and what does
// not pass is the ship rescuer's.
func DefaultShippingConfig() ShippingConfig {
	return ShippingConfig{
		Concurrency: 10, Batch: 100, Tries: 3, MinBackoff: 200 * time.Millisecond, MaxBackoff: time.Second,
		Turn: 40 * time.Second, Claim: 50 * time.Second, Grace: 5 * time.Second,
	}
}

// ShipStore is what shipping needs of SQL, which decides what may be shipped.
type ShipStore interface {
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
	ClaimShipping(ctx context.Context, ids []order.ID, lease time.Duration) (store.ShipClaims, error)
	ReleaseShippingClaims(ctx context.Context, ids []order.ID, claimedAt time.Time) error
	Ship(ctx context.Context, shipments []order.Shipment) (refused []order.ID, err error)
	MarkShipFailed(ctx context.Context, ids []order.ID) error
}

// ShippingClient hands over parcels, each order once. order.ErrUnknownOutcome: it may have the parcel. order.ErrInvalid: it does not have it and will
// not take it. Any other error: it did not take it this time.
type ShippingClient interface {
	Ship(ctx context.Context, o order.Order) error
}

// CarrierLimiter is a ShippingClient that has so many calls under way at most, whoever makes them.
type CarrierLimiter struct {
	carrier ShippingClient
	slots   chan struct{}
}

// NewCarrierLimiter puts a gate before the carrier.
func NewCarrierLimiter(n int, c ShippingClient) *CarrierLimiter {
	return &CarrierLimiter{carrier: c, slots: make(chan struct{}, n)}
}

// Ship waits for a free slot and makes the call.
func (g *CarrierLimiter) Ship(ctx context.Context, o order.Order) error {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s was not handed over: %w: %w", o.ID, order.ErrRejected, ctx.Err())
	}
	defer func() { <-g.slots }()
	return g.carrier.Ship(ctx, o)
}

// shipping hands orders to the carrier. Whoever does it claims them first in SQL, so that an order that was cancelled meanwhile is
// never handed over, and one that may have been handed over is never cancelled.
type shipping struct {
	cfg     ShippingConfig
	store   ShipStore
	carrier ShippingClient
	// publisher publishes the states that were written.
	publisher publisher
	log       *slog.Logger
	now       func() time.Time
}

// ship offers the orders and returns how many were shipped, and those that the turn had no time for.
func (s *shipping) ship(ctx context.Context, orders []order.Order) (shipped int, left []order.ID, err error) {
	deadline := s.now().Add(s.cfg.Turn)
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

// verdicts are what came of a batch of orders.
type verdicts struct {
	mu sync.Mutex
	// taken are with the carrier.
	taken []order.Shipment
	// refused surely are not, and never were. declined were not taken this time. Of unknown nobody can say. untried were not offered.
	refused, declined, unknown, untried []order.ID
}

func (s *shipping) batch(ctx context.Context, deadline time.Time, orders []order.Order) (*verdicts, error) {
	claims, err := s.store.ClaimShipping(ctx, orderIDs(orders), s.cfg.Claim)
	if err != nil {
		return nil, err
	}
	claimed := slices.DeleteFunc(slices.Clone(orders), func(o order.Order) bool { _, ok := claims.Orders[o.ID]; return !ok })
	calls, cancel := outlive(ctx, s.cfg.Grace)
	defer cancel()
	var v verdicts
	forEach(s.cfg.Concurrency, claimed, func(o order.Order) { s.offer(ctx, calls, deadline, o, &v) })
	// What the carrier answered is written down also when the turn is to end.
	return &v, s.record(context.WithoutCancel(ctx), claims, &v)
}

// outlive is a context that ends some time after ctx did.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { sleep(out, grace); cancel() })
	return out, func() { stop(); cancel() }
}

// offer calls the carrier for one order until it takes it, or the tries or the turn's time are used up.
func (s *shipping) offer(ctx, calls context.Context, deadline time.Time, o order.Order, v *verdicts) {
	unknown, tried := false, 0
	pause := s.cfg.MinBackoff
	for calls.Err() == nil && s.now().Before(deadline) {
		err := s.carrier.Ship(calls, o)
		tried++
		if err == nil || errors.Is(err, order.ErrInvalid) {
			v.add(s.log, o, err, s.now())
			return
		}
		unknown = unknown || errors.Is(err, order.ErrUnknownOutcome)
		if tried == s.cfg.Tries || ctx.Err() != nil {
			s.log.WarnContext(ctx, "the carrier did not take an order", "order", o.ID, "tries", tried, "unknown", unknown, "error", err)
			break
		}
		sleep(ctx, pause/2+rand.N(pause/2+1)) //nolint:gosec // Jitter needs no secrecy.
		pause = min(2*pause, s.cfg.MaxBackoff)
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

// add notes a clear answer.
func (v *verdicts) add(log *slog.Logger, o order.Order, err error, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		log.Error("the carrier will never take an order", "order", o.ID, "error", err)
		v.refused = append(v.refused, o.ID)
		return
	}
	v.taken = append(v.taken, order.Shipment{OrderID: o.ID, TrackingID: o.TrackingID, ShippedAt: now.UTC()})
}

// record writes down what came of the batch. The claims of orders that the carrier may have stay: those of unknown outcome, and
// those that were claimed before and not taken this time, because the earlier claimant may have handed them over. An answer that the
// carrier does not have the parcel ends that doubt: the carrier knows orders by their ids.
func (s *shipping) record(ctx context.Context, claims store.ShipClaims, v *verdicts) error {
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
			s.log.ErrorContext(ctx, "an order was handed to the carrier, but its state no longer allows it", "order", p.OrderID)
			continue
		}
		ids = append(ids, p.OrderID)
	}
	s.decided(ctx, order.Shipped, ids)
	return nil
}

// decided tells, after the commit, which orders became SHIPPED or SHIP_FAILED.
func (s *shipping) decided(ctx context.Context, to order.State, ids []order.ID) {
	s.log.DebugContext(ctx, "shipping was decided", "state", to, "orders", len(ids))
	s.publisher.publish(ctx, to, ids)
}

func orderIDs(orders []order.Order) []order.ID {
	out := make([]order.ID, len(orders))
	for i, o := range orders {
		out[i] = o.ID
	}
	return out
}
