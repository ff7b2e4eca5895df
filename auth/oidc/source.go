package oidc

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// refreshInterval is the time between two reads of the keys: how long a key is good that the issuer has withdrawn.
	refreshInterval = 10 * time.Minute
	// wantedInterval is the least time between two reads because of unknown keys, so that forged tokens are no load for the issuer.
	wantedInterval = 10 * time.Second
	// minBackoff and maxBackoff bound the time until a failed read is tried again. It doubles with each failure.
	minBackoff, maxBackoff = time.Second, 30 * time.Second
)

// Set is the keys of an issuer at one time.
type Set struct {
	Keys Keys
	// Read is when they were read.
	Read time.Time
	// Generation is 1 for the first keys, and rises when they change.
	Generation uint64
}

// Source keeps the keys of an issuer current while Run runs. While the issuer is unavailable, the last keys stay. It is safe for concurrent use.
type Source struct {
	issuer string
	log    *slog.Logger
	set    atomic.Pointer[Set]
	wanted chan struct{}

	refreshInterval, wantedInterval, minBackoff time.Duration
}

// NewSource returns a Source of the issuer, without keys.
func NewSource(issuer string, log *slog.Logger) *Source {
	return &Source{
		issuer: issuer, log: log, wanted: make(chan struct{}, 1),
		refreshInterval: refreshInterval, wantedInterval: wantedInterval, minBackoff: minBackoff,
	}
}

// Set returns the keys; false if they were never read.
func (s *Source) Set() (Set, bool) {
	if set := s.set.Load(); set != nil {
		return *set, true
	}
	return Set{}, false
}

// Want has Run read the keys soon, at most once in wantedInterval, because a token names a key that is not among them. It does not wait, and returns
// the time after which the keys may have been read.
func (s *Source) Want() (after time.Duration) {
	select {
	case s.wanted <- struct{}{}:
	default: // It is wanted already.
	}
	set, ok := s.Set()
	if !ok {
		return minBackoff
	}
	return max(minBackoff, time.Until(set.Read.Add(s.wantedInterval)))
}

// Run reads the keys, again and again until ctx ends.
func (s *Source) Run(ctx context.Context) {
	failures := 0
	for {
		err := s.refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			_, has := s.Set()
			s.log.WarnContext(ctx, "failed to read the keys of the issuer of customers' tokens, retrying", "issuer", s.issuer, "failures", failures,
				"keeps_keys", has, "error", err)
		case failures > 0:
			failures = 0
			s.log.InfoContext(ctx, "the keys of the issuer of customers' tokens were read again", "issuer", s.issuer)
		}
		if !s.pause(ctx, s.interval(failures)) {
			return
		}
	}
}

// interval is the time until the next read.
func (s *Source) interval(failures int) time.Duration {
	if failures == 0 {
		return s.refreshInterval
	}
	backoff := s.minBackoff << min(failures-1, 5) //nolint:mnd // 32 s are more than maxBackoff.
	backoff = min(backoff, maxBackoff)
	return backoff/2 + rand.N(backoff/2+1) //nolint:gosec // It spreads the processes of a shop.
}

// pause waits for the interval, or for less if keys are wanted. It returns false when ctx has ended.
func (s *Source) pause(ctx context.Context, interval time.Duration) bool {
	began := time.Now()
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-s.wanted:
		timer.Reset(min(interval, s.wantedInterval) - time.Since(began))
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// refresh reads the keys once.
func (s *Source) refresh(ctx context.Context) error {
	began := time.Now()
	keys, err := Fetch(ctx, s.issuer)
	if err != nil {
		return err
	}
	next := Set{Keys: keys, Read: began, Generation: 1}
	if last := s.set.Load(); last != nil {
		next.Generation = last.Generation
		if !keys.equal(last.Keys) {
			next.Generation++
		}
	}
	s.set.Store(&next)
	s.log.DebugContext(ctx, "read the keys of the issuer of customers' tokens", "issuer", s.issuer, "keys", len(keys), "generation", next.Generation)
	return nil
}
