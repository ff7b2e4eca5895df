package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// openClients is the number of connections of an open loop, and so the maximum of calls in progress. Calls that find none free wait,
	// and their waiting counts as latency.
	openClients = 512
	// coolDown is the time for which an open loop goes on after the measured time, so that its last orders are treated as the others.
	coolDown = 500 * time.Millisecond

	codeNotSent = "not_sent" // all connections were busy until the end
	codeRefused = "resource_exhausted"
)

// openLoad is an open loop: calls are due at a rate, whether or not the earlier ones have returned.
type openLoad struct {
	perSecond      float64
	clients        int
	warmUp, length time.Duration
}

// span is one call, from when it was due until its response.
type span struct{ due, end time.Time }

// openLoad is the open loop at a part of the build's capacity.
func (r *run) openLoad(b *build, percent int) openLoad {
	l := r.load()
	return openLoad{perSecond: r.capacity[b.name] * float64(percent) / 100, clients: openClients, warmUp: l.warmUp, length: l.length}
}

// run makes the calls. Latencies count from when a call was due; those of calls that returned within the measured time are kept, as are
// the spans of the successful ones.
func (l openLoad) run(ctx context.Context, client func(i int) caller) (outcome, []span, error) {
	clients := connected(ctx, l.clients, client)
	begin := time.Now()
	from := begin.Add(l.warmUp)
	to := from.Add(l.length)
	total := int64(l.perSecond * to.Add(coolDown).Sub(begin).Seconds())
	d := dispatcher{begin: begin, from: from, to: to, last: to.Add(coolDown), total: total, perSecond: l.perSecond}
	parts, spans := make([]outcome, l.clients), make([][]span, l.clients)
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			defer c.close()
			parts[i], spans[i] = d.drive(ctx, c)
		})
	}
	wg.Wait()
	o, err := finish(ctx, parts, from, to)
	if missed := total - d.sent.Load(); missed > 0 {
		o.errors[codeNotSent] += int(missed)
	}
	var all []span
	for _, s := range spans {
		all = append(all, s...)
	}
	return o, all, err
}

// dialer is a caller that can connect before its first call.
type dialer interface {
	dial(ctx context.Context) error
}

// connected returns the clients with their connections: at a low rate, connecting would be the larger part of what is measured. A client that
// cannot connect tries again with its first call.
func connected(ctx context.Context, n int, client func(i int) caller) []caller {
	out := make([]caller, n)
	for i := range out {
		out[i] = client(i)
		if d, ok := out[i].(dialer); ok {
			_ = d.dial(ctx) // The first call reports it.
		}
	}
	return out
}

// dispatcher hands out the calls of an open loop in the order in which they are due.
type dispatcher struct {
	begin, from, to, last time.Time
	total                 int64
	perSecond             float64
	next, sent            atomic.Int64
}

// due returns when the next call is due; false if it is too late for one.
func (d *dispatcher) due() (time.Time, bool) {
	i := d.next.Add(1) - 1
	if i >= d.total || time.Now().After(d.last) {
		return time.Time{}, false
	}
	return d.begin.Add(time.Duration(float64(i) / d.perSecond * float64(time.Second))), true
}

// drive makes calls with one client until the end.
func (d *dispatcher) drive(ctx context.Context, c caller) (outcome, []span) {
	o := outcome{errors: make(map[string]int)}
	var spans []span
	for {
		due, ok := d.due()
		if !ok || !sleepUntil(ctx, due) {
			return o, spans
		}
		d.sent.Add(1)
		code := c.call(ctx)
		end := time.Now()
		measured := end.After(d.from) && end.Before(d.to)
		if code != "" {
			o.errors[code]++
			if code == codeRefused && measured {
				o.refused = append(o.refused, end.Sub(due))
			}
			continue
		}
		o.accepted++
		if measured {
			o.latencies = append(o.latencies, end.Sub(due))
			spans = append(spans, span{due, end})
		}
	}
}
