package workers

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
)

// outcomes are the outcomes of a batch of orders.
type outcomes struct {
	mu sync.Mutex
	// taken are the orders that the carrier has.
	taken []order.Shipment
	// refused are orders that the carrier does not have and will never take, declined those that it did not take this time, and unknown those
	// that it may have.
	refused, declined, unknown []order.ID
	// unavailable are orders that were not offered because the carrier is unavailable.
	unavailable []order.ID
	// stopped are orders that did not get all their attempts because the worker is being stopped. Those in stoppedUnknown the carrier may have.
	stopped, stoppedUnknown []order.ID
}

// attempts are the attempts at an order that the carrier did not take.
type attempts struct {
	// made is the number of calls, including those that an open breaker refused. tried is the number of the others.
	made, tried int
	// unknown: the carrier may have the parcel.
	unknown bool
	err     error
}

// add adds a call that failed.
func (a *attempts) add(err error) {
	a.made++
	if isTried(err) {
		a.tried++
	}
	a.unknown = a.unknown || errors.Is(err, order.ErrUnknownOutcome)
	a.err = err
}

// shipBatch is a batch of claimed orders.
type shipBatch struct {
	*shipping

	claims store.ShipClaims
	// begin is until when an order is offered for the first time, and deadline until when it is offered again.
	begin, deadline time.Time
	outcomes        outcomes

	mu      sync.Mutex
	waiting []order.Order // claimed, and not offered yet
	// released and kept are the orders that were not offered: those whose claims were released, and those that were claimed before, which keep
	// their claims because the earlier claimant may have shipped them.
	released, kept []order.Order
}

// batch claims the orders, offers them, and writes the outcomes. The claims of orders that were not offered within ClaimWindow are released at
// that time, while others may be offered again until the deadline.
func (s *shipping) batch(ctx context.Context, deadline time.Time, orders []order.Order) (_ *shipBatch, err error) {
	ctx, span := tracing.StartBatch(ctx, scope, spanShipBatch, len(orders), linksOf(orders, traceOfOrder))
	defer func() { tracing.End(span, err) }()
	claims, err := s.store.ClaimShipping(ctx, orderIDs(orders), s.cfg.Claim)
	if err != nil {
		return nil, err
	}
	b := &shipBatch{shipping: s, claims: claims, deadline: deadline, begin: s.now().Add(s.cfg.ClaimWindow)}
	if b.begin.After(deadline) {
		b.begin = deadline
	}
	b.waiting = slices.DeleteFunc(slices.Clone(orders), func(o order.Order) bool { _, ok := claims.Orders[o.ID]; return !ok })
	if len(b.waiting) == 0 {
		return b, nil
	}
	err = b.run(ctx)
	return b, err
}

// run offers the waiting orders and writes the outcomes.
func (b *shipBatch) run(ctx context.Context) error {
	calls, cancel := outlive(ctx, b.cfg.Grace)
	defer cancel()
	beginning, stop := context.WithTimeout(ctx, b.begin.Sub(b.now()))
	defer stop()
	var working sync.WaitGroup
	for range min(b.cfg.Concurrency, len(b.waiting)) {
		working.Go(func() {
			defer stop() // No order is waiting, or none may begin any more.
			b.work(ctx, beginning, calls)
		})
	}
	<-beginning.Done()
	// The claims are released and the outcomes written also when ctx has ended.
	err := b.release(context.WithoutCancel(ctx))
	working.Wait()
	return errors.Join(err, b.record(context.WithoutCancel(ctx), b.claims, &b.outcomes))
}

// work offers waiting orders, one after the other, until there is none or beginning ends. An order waits for a slot of the carrier before it is
// taken from the batch, so that it can still be released.
func (b *shipBatch) work(ctx, beginning, calls context.Context) {
	for {
		release, err := b.carrier.acquire(beginning)
		if err != nil {
			return
		}
		o, ok := b.next()
		if !ok {
			release()
			return
		}
		b.offer(ctx, calls, o, release)
	}
}

// next takes a waiting order from the batch. It returns false if there is none, or if begin has passed.
func (b *shipBatch) next() (o order.Order, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 || !b.now().Before(b.begin) {
		return o, false
	}
	o, b.waiting = b.waiting[0], b.waiting[1:]
	return o, true
}

// release takes the waiting orders from the batch and releases their claims, except for those that were claimed before.
func (b *shipBatch) release(ctx context.Context) error {
	b.mu.Lock()
	for _, o := range b.waiting {
		if b.claims.Orders[o.ID] {
			b.kept = append(b.kept, o)
		} else {
			b.released = append(b.released, o)
		}
	}
	b.waiting = nil
	b.mu.Unlock()
	if len(b.released) == 0 {
		return nil
	}
	b.log.DebugContext(ctx, "released orders that the carrier had no time for", "orders", len(b.released))
	return b.store.ReleaseShippingClaims(ctx, orderIDs(b.released), b.claims.At)
}

// offer calls the carrier for one order until it takes or refuses it, or the tries or the time are used up. The first call has a slot,
// which release gives back.
func (b *shipBatch) offer(ctx, calls context.Context, o order.Order, release func()) {
	var a attempts
	var err error
	calls, span := startShip(calls, o)
	defer func() { tracing.End(span, err) }()
	for backoff := b.cfg.MinBackoff; ; backoff = min(2*backoff, b.cfg.MaxBackoff) {
		err = b.carrier.carrier.Ship(calls, o)
		release()
		if err == nil && span.IsRecording() {
			span.SetAttributes(tracing.OrderState(order.Shipped))
		}
		if err == nil || errors.Is(err, order.ErrInvalid) {
			b.outcomes.add(b.log, o, err, b.now())
			return
		}
		if a.add(err); a.made == b.cfg.MaxAttempts || ctx.Err() != nil {
			break
		}
		sleep(ctx, backoff/2+rand.N(backoff/2+1)) //nolint:gosec // Jitter needs no secrecy.
		if release, err = b.acquireAgain(ctx); err != nil {
			break
		}
	}
	if a.tried > 0 {
		b.log.WarnContext(ctx, "carrier did not take an order", "order_id", o.ID, "tries", a.tried, "unknown", a.unknown, "error", a.err)
	}
	b.outcomes.addOpen(o.ID, a, ctx.Err() != nil)
}

// acquireAgain waits for a slot, for another call for an order, until the deadline.
func (b *shipBatch) acquireAgain(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, b.deadline.Sub(b.now()))
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return b.carrier.acquire(ctx)
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

// addOpen adds an order that the carrier did not take, or may have taken if that is unknown. If the worker is being stopped, the order did not
// get all its attempts: its state does not change, and another worker continues.
func (v *outcomes) addOpen(id order.ID, a attempts, stopped bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	to := &v.declined
	switch {
	case a.unknown && stopped:
		to = &v.stoppedUnknown
	case stopped:
		to = &v.stopped
	case a.unknown:
		to = &v.unknown
	case a.tried == 0:
		to = &v.unavailable
	}
	*to = append(*to, id)
}
