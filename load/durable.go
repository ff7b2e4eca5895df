package load

import (
	"context"
	"sync"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// probesPerSecond bounds how many accepted orders are looked for in their buyer's list: a list is read from SQL, and the
	// looking must not become a load of its own. About 5 looks find one.
	probesPerSecond = 20
	// probesMax bounds those under way, when rows come late.
	probesMax = 64
	// probeMin and probeMax are the pauses between two looks; they grow by half.
	probeMin = 5 * time.Millisecond
	probeMax = 500 * time.Millisecond
	// probeLimit ends a search; the order counts as not seen.
	probeLimit = time.Minute
)

// prober measures the time to durable: an order appears in its buyer's list once its row exists, which is as much as a client
// can see of SQL. From the answer to the look that showed it; so a value may be too large by the last pause, a third of it.
type prober struct {
	shop Shop

	mu      sync.Mutex
	from    time.Time // when the next may begin
	running int
	seen    histogram
	tried   int64
	wg      sync.WaitGroup
}

func newProber(shop Shop) *prober { return &prober{shop: shop, seen: newHistogram(digits)} }

// offer may choose the order, which was accepted just now.
func (p *prober) offer(ctx context.Context, b *buyer, id string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.from) || p.running == probesMax {
		return
	}
	p.from = now.Add(time.Second / probesPerSecond)
	p.running++
	p.tried++
	p.wg.Go(func() { p.search(ctx, b, id, now) })
}

func (p *prober) search(ctx context.Context, b *buyer, id string, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	found := false
	for wait := probeMin; !found; wait = min(wait+wait/2, probeMax) {
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
