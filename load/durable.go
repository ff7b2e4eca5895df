package load

import (
	"context"
	"sync"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// probesPerSecond is the maximum number of accepted orders that are searched in their buyer's list. Lists are read
	// from SQL, and the probes must not become a load of their own. A search takes about 5 reads.
	probesPerSecond = 20
	// maxProbes is the maximum number of concurrent searches, when rows are late.
	maxProbes = 64
	// minProbeDelay and maxProbeDelay are the delays between two reads; they grow by half.
	minProbeDelay = 5 * time.Millisecond
	maxProbeDelay = 500 * time.Millisecond
	// probeTimeout ends a search; the order counts as not seen.
	probeTimeout = time.Minute
)

// prober measures the time to durable: an order is in its buyer's list once its row exists, which is all that a client
// can see of SQL. The time is from the response to the read that lists the order; it may be too large by the last
// delay, a third of it.
type prober struct {
	shop Shop

	mu      sync.Mutex
	from    time.Time // earliest start of the next search
	running int
	seen    histogram
	tried   int64
	wg      sync.WaitGroup
}

func newProber(shop Shop) *prober { return &prober{shop: shop, seen: newHistogram(digits)} }

// offer starts a search for the newly accepted order, if the limits allow it.
func (p *prober) offer(ctx context.Context, b *buyer, id string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.from) || p.running == maxProbes {
		return
	}
	p.from = now.Add(time.Second / probesPerSecond)
	p.running++
	p.tried++
	p.wg.Go(func() { p.search(ctx, b, id, now) })
}

// search reads the buyer's list until it contains the order, or until probeTimeout.
func (p *prober) search(ctx context.Context, b *buyer, id string, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	found := false
	for wait := minProbeDelay; !found; wait = min(wait+wait/2, maxProbeDelay) {
		if found = p.listed(ctx, b, id); !found && !pause(ctx, wait) {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if found {
		p.seen.record(time.Since(since))
	}
}

// listed reports whether the first page of the buyer's list contains the order.
func (p *prober) listed(ctx context.Context, b *buyer, id string) bool {
	orders, _, err := p.shop.Orders(ctx, b.token, "")
	return err == nil && contains(orders, id)
}

func contains(orders []*spillwayv1.Order, id string) bool {
	for _, o := range orders {
		if o.GetId() == id {
			return true
		}
	}
	return false
}
