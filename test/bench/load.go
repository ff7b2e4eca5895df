package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// warmUp is the time for connections, caches and the runtime to warm up before the measurement.
	warmUp = time.Second
	// errorPause keeps a client from spinning while its calls fail at once.
	errorPause = 10 * time.Millisecond

	codeNoResponse = "no_response"
	codeNotPaid    = "not_paid"
)

// load is the number of clients and the duration.
type load struct {
	clients        int
	warmUp, length time.Duration
}

// caller is one client. A call returns an error's code, or nothing.
type caller interface {
	call(ctx context.Context) (code string)
	close()
}

// outcome is the result of a load.
type outcome struct {
	// latencies are those of the calls that succeeded within the measured time, sorted.
	latencies []time.Duration
	perSecond float64
	// accepted counts all successful calls, including those of the warm-up and the last ones in progress.
	accepted int
	errors   map[string]int
	// first is the time of the first successful call, stopped the time when the last one had returned.
	first, stopped time.Time
}

// unknown is the number of calls that may or may not have had an effect.
func (o outcome) unknown() int { return o.errors[codeNoResponse] + o.errors[codeNotPaid] }

var errNothing = errors.New("no call succeeded")

// run is a closed loop: each client calls again after each response until the time is over. It waits for the calls in
// progress, for at most callTimeout.
func (l load) run(ctx context.Context, client func(i int) caller) (outcome, error) {
	from := time.Now().Add(l.warmUp)
	to := from.Add(l.length)
	parts := make([]outcome, l.clients)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			c := client(i)
			defer c.close()
			parts[i] = drive(ctx, c, from, to)
		})
	}
	wg.Wait()
	all := merge(parts)
	all.stopped = time.Now()
	all.perSecond = float64(len(all.latencies)) / l.length.Seconds()
	switch {
	case ctx.Err() != nil:
		return all, ctx.Err()
	case len(all.latencies) == 0:
		return all, fmt.Errorf("%w: %v", errNothing, all.errors)
	}
	return all, nil
}

// drive runs the calls of one client.
func drive(ctx context.Context, c caller, from, to time.Time) outcome {
	o := outcome{errors: make(map[string]int)}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for begin := time.Now(); ctx.Err() == nil && begin.Before(to); {
		code := c.call(ctx)
		end := time.Now()
		if code != "" {
			o.errors[code]++
			pause.Reset(errorPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			begin = time.Now()
			continue
		}
		if o.accepted++; o.first.IsZero() {
			o.first = end
		}
		if end.After(from) && end.Before(to) {
			o.latencies = append(o.latencies, end.Sub(begin))
		}
		begin = end
	}
	return o
}

func merge(parts []outcome) outcome {
	all := outcome{errors: make(map[string]int)}
	for _, p := range parts {
		all.latencies = append(all.latencies, p.latencies...)
		all.accepted += p.accepted
		for code, n := range p.errors {
			all.errors[code] += n
		}
		if !p.first.IsZero() && (all.first.IsZero() || p.first.Before(all.first)) {
			all.first = p.first
		}
	}
	sortLatencies(all.latencies)
	return all
}
