package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"
)

// ErrSetup means that the load could not start.
var ErrSetup = errors.New("the load cannot begin")

// run is the state of one load.
type run struct {
	cfg    Config
	shop   Shop
	id     string // prefix of the idempotency keys
	stats  *stats
	calls  caller
	record *record
	probes *prober
	buyers *buyers
	start  time.Time
}

// Run sends the load, waits until the orders have settled, and checks them. The result is not nil once the load has
// started, also if the checks could not run. When ctx ends, Run stops sending and returns the result so far.
func Run(ctx context.Context, cfg Config, shop Shop, progress *Progress) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Seed == 0 {
		cfg.Seed = 1 + mathrand.Uint64N(1<<53-1) //nolint:gosec // A seed needs no secrecy; JSON keeps 53 bits.
	}
	r := &run{cfg: cfg, shop: shop, id: strings.ToLower(rand.Text()[:12]), stats: newStats(cfg.Duration), record: newRecord(), probes: newProber(shop)}
	r.calls = caller{retries: cfg.Retries, stats: r.stats}
	s, err := r.prepare(ctx, progress)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	stop := progress.every(func() string {
		f := r.figures()
		progress.figures(f)
		return f.String()
	})
	took := r.send(ctx, s)
	stop()
	r.probes.wg.Wait()
	res := r.result(took)
	if res.Interrupted = ctx.Err() != nil; res.Interrupted {
		res.notChecked("the load was interrupted")
		return res, nil
	}
	r.check(ctx, res, progress)
	return res, nil
}

// prepare creates the product, if requested, and the buyers.
func (r *run) prepare(ctx context.Context, progress *Progress) (*scenario, error) {
	s := &scenario{kind: r.cfg.Scenario, random: r.random(1)}
	var err error
	switch {
	case r.cfg.Scenario == OnlineBoutique:
		s.skus = boutiqueSKUs
	case r.cfg.Scenario != FlashSale:
		if s.skus, err = catalogue(ctx, r.shop); err != nil {
			return nil, err
		}
	case r.cfg.Stock > 0:
		if r.cfg.SKU == "" {
			r.cfg.SKU = "LOAD-" + strings.ToUpper(r.id)
		}
		if err := r.shop.Create(ctx, r.cfg.Token, r.cfg.SKU, r.cfg.Stock); err != nil {
			return nil, fmt.Errorf("create %s: %w", r.cfg.SKU, err)
		}
		s.skus = []string{r.cfg.SKU}
	default:
		if _, err := r.shop.Product(ctx, r.cfg.SKU); err != nil {
			return nil, fmt.Errorf("--sku %s: %w", r.cfg.SKU, err)
		}
		s.skus = []string{r.cfg.SKU}
	}
	progress.report("starting %d sessions", r.cfg.buyers())
	r.buyers, err = startSessions(ctx, r.shop, r.cfg.Token, r.cfg.buyers(), r.cfg.fillsCarts())
	return s, err
}

// random returns one of several generators, so that a seed gives the same schedule independent of other draws.
func (r *run) random(stream uint64) *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(r.cfg.Seed, stream)) //nolint:gosec // A schedule needs no secrecy.
}

// send sends every visit at its planned time, independent of the others, and returns when the last one has its outcome.
func (r *run) send(ctx context.Context, s *scenario) (took time.Duration) {
	schedule := newArrivals(r.cfg.Arrivals, r.cfg.Rate, r.random(2))
	slots := make(chan struct{}, r.cfg.MaxInFlight)
	wait := newSleeper()
	defer wait.timer.Stop()
	var wg sync.WaitGroup
	r.start = time.Now()
	for at := schedule.next(); at < r.cfg.Duration; at = schedule.next() {
		if !wait.until(ctx, r.start.Add(at)) {
			break
		}
		v := s.next()
		select {
		case slots <- struct{}{}:
			r.stats.sent(time.Since(r.start) - at)
			wg.Go(func() {
				r.arrive(ctx, v, at)
				<-slots
			})
		default:
			r.stats.notSent(at)
		}
	}
	wg.Wait()
	return time.Since(r.start)
}

// arrive serves one visit. Its latency is from the planned time, not from the time when this machine sent it.
func (r *run) arrive(ctx context.Context, v visit, at time.Duration) {
	b := r.buyers.lease(v.n)
	defer r.buyers.back(b)
	a := r.visit(ctx, v, b)
	r.stats.done(at, a, time.Since(r.start)-at)
	r.record.note(v, b, a)
	if a.outcome == Accepted {
		r.probes.offer(ctx, b, a.orderID)
	}
}

// figures returns the current progress.
func (r *run) figures() Figures {
	at := time.Since(r.start)
	g := r.stats.glance(at)
	return Figures{
		Seconds: at.Seconds(), Accepted: g.counts[Accepted], SoldOut: g.counts[SoldOut], Shed: g.counts[Shed], Failed: g.counts[Failed],
		Other:   g.counts[Pending] + g.counts[Declined] + g.counts[Unavailable] + g.counts[Browsed],
		NotSent: g.counts[NotSent], Retries: g.retries, InFlight: g.inFlight, P50: ms(g.p50), P99: ms(g.p99),
	}
}

// String is a line of progress.
func (f Figures) String() string {
	return fmt.Sprintf("%5.1fs  accepted %d  sold out %d  shed %d  failed %d  other %d  not sent %d  retries %d  in flight %d  p50 %s  p99 %s",
		f.Seconds, f.Accepted, f.SoldOut, f.Shed, f.Failed, f.Other, f.NotSent, f.Retries, f.InFlight, short(ofMs(f.P50)), short(ofMs(f.P99)))
}

func ofMs(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
