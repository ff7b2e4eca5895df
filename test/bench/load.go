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
	codePlaced     = "placed" // an order that should have been refused
)

// load is the number of clients and the duration.
type load struct {
	clients        int
	warmUp, length time.Duration
	// atBegin and atEnd, if both are set, are called when the measured time begins and ends, beside the calls.
	atBegin, atEnd func()
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
	// refused are those of the calls that an open loop had refused as too many within the measured time, sorted.
	refused   []time.Duration
	perSecond float64
	// accepted counts all successful calls, including those of the warm-up and the last ones in progress.
	accepted int
	errors   map[string]int
	// from and to are the measured time.
	from, to time.Time
}

// measured is the number of calls that succeeded within the measured time.
func (o outcome) measured() int { return len(o.latencies) }

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
	l.hooks(ctx, &wg, from, to)
	for i := range parts {
		wg.Go(func() {
			c := client(i)
			defer c.close()
			parts[i] = drive(ctx, c, from, to)
		})
	}
	wg.Wait()
	return finish(ctx, parts, from, to)
}

// finish merges what the clients measured between the times.
func finish(ctx context.Context, parts []outcome, from, to time.Time) (outcome, error) {
	all := merge(parts)
	all.from, all.to = from, to
	all.perSecond = rate(all.measured(), to.Sub(from))
	switch {
	case ctx.Err() != nil:
		return all, ctx.Err()
	case all.measured() == 0:
		return all, fmt.Errorf("%w: %v", errNothing, all.errors)
	}
	return all, nil
}

// hooks calls atBegin and atEnd at the times; wg waits for them.
func (l load) hooks(ctx context.Context, wg *sync.WaitGroup, from, to time.Time) {
	if l.atBegin == nil || l.atEnd == nil {
		return
	}
	wg.Go(func() {
		if sleepUntil(ctx, from) {
			l.atBegin()
		}
		if sleepUntil(ctx, to) {
			l.atEnd()
		}
	})
}

// sleepUntil returns false if ctx ends before the time.
func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// drive runs the calls of one client.
func drive(ctx context.Context, c caller, from, to time.Time) outcome {
	o := outcome{errors: make(map[string]int)}
	for begin := time.Now(); ctx.Err() == nil && begin.Before(to); {
		code := c.call(ctx)
		end := time.Now()
		if code != "" {
			o.errors[code]++
			sleepUntil(ctx, end.Add(errorPause))
			begin = time.Now()
			continue
		}
		o.accepted++
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
		all.refused = append(all.refused, p.refused...)
		all.accepted += p.accepted
		for code, n := range p.errors {
			all.errors[code] += n
		}
	}
	sortLatencies(all.latencies)
	sortLatencies(all.refused)
	return all
}
