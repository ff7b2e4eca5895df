package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
)

// Progress tracks the offset that SQL has reached, and wakes callers that wait for one. It is safe for concurrent use.
type Progress struct {
	mu sync.Mutex
	at Offset
	// since is the offset after which this process flushed everything up to at: it knows which orders' steps were not applied there.
	since      Offset
	moved      chan struct{}
	notApplied map[order.ID]struct{}
	recent     []order.ID // the keys of notApplied, oldest first, so that the oldest can be dropped
	// awaited is the last offset that a caller waited for, unless it is reached; awaitedSince is since when SQL has not moved towards it.
	awaited      Offset
	awaitedSince time.Time
}

const (
	// maxStill is how long SQL may stand still while callers wait for it: a hundred times as long as a usual flush takes, and longer than the pauses of a busy
	// disk.
	maxStill = 5 * time.Second
	// stalledRetry is the retry hint until it moves.
	stalledRetry = time.Second
)

// maxNotApplied bounds the orders that are remembered as not applied; their waiters read them within milliseconds.
const maxNotApplied = 10_000

var (
	// ErrEpochPassed means that the epoch of the awaited offset was closed: only SQL knows whether the offset was reached before.
	ErrEpochPassed = errors.New("the epoch was closed")
	// ErrUnverified means that SQL reached the offset, but another process flushed it: only SQL knows whether the order's step was applied.
	ErrUnverified = errors.New("another process flushed the order's step")
	// ErrStepNotApplied means that SQL holds the order in a state that does not permit this step: its idempotency key belongs to
	// another order.
	ErrStepNotApplied = errors.New("sql did not apply the order's step")
	// ErrStalled means that SQL applies nothing: it is unavailable, or no process flushes.
	ErrStalled = errors.New("SQL has applied no journal entry for too long")
)

// NewProgress makes a Progress without an offset.
func NewProgress() *Progress {
	return &Progress{moved: make(chan struct{}), notApplied: make(map[order.ID]struct{})}
}

// Wait returns once SQL holds everything up to the offset. It returns ErrEpochPassed, ErrStepNotApplied when SQL did not apply the order's
// step there, ErrUnverified when another process flushed there, ErrStalled when SQL has not moved for maxStill, or the error of ctx. Without an order it waits
// for the offset alone. The zero Offset is that of a step that was taken in SQL.
func (p *Progress) Wait(ctx context.Context, offset Offset, id order.ID) error {
	if offset == (Offset{}) {
		return nil
	}
	moved, left, err := p.reached(offset, id)
	if moved == nil {
		return err
	}
	still := time.NewTimer(left)
	defer still.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		case <-still.C:
		}
		moved, left, err = p.reached(offset, id)
		switch {
		case moved == nil:
			return err
		case left <= 0:
			return ErrStalled
		}
		still.Reset(left)
	}
}

// reached returns the result of Wait, or else the channel that is closed when SQL moves, and for how long it may still stand still.
func (p *Progress) reached(offset Offset, id order.ID) (moved <-chan struct{}, left time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, notApplied := p.notApplied[id]
	switch {
	case p.at.Reaches(offset) && notApplied:
		return nil, 0, ErrStepNotApplied
	case p.at.Reaches(offset) && id != "" && p.since.Reaches(offset):
		return nil, 0, ErrUnverified
	case p.at.Reaches(offset):
		return nil, 0, nil
	case p.at.Epoch > offset.Epoch:
		return nil, 0, ErrEpochPassed
	}
	if p.awaitedSince.IsZero() {
		p.awaitedSince = time.Now()
	}
	if p.awaited.Epoch <= offset.Epoch && !p.awaited.Reaches(offset) {
		p.awaited = offset
	}
	return p.moved, maxStill - time.Since(p.awaitedSince), nil
}

// Ready returns an order.RetryError of order.ErrUnavailable while SQL stands still although callers have waited for it, so that the next ones would wait in
// vain. It needs no call of SQL.
func (p *Progress) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaitedSince.IsZero() || time.Since(p.awaitedSince) < maxStill {
		return nil
	}
	return &order.RetryError{After: stalledRetry, Err: fmt.Errorf("%w: %w", ErrStalled, order.ErrUnavailable)}
}

// Set moves to the offset that was read from SQL, never back, and wakes the waiters. Entries before it were flushed by other processes.
func (p *Progress) Set(at Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.move(at, at)
}

// Flushed moves to the offset after a flush of this process; steps that were not applied are marked by now. from is SQL's offset
// before the flush: no other process has flushed in between.
func (p *Progress) Flushed(from, at Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == from {
		from = p.since
	}
	p.move(from, at)
}

// Offset returns the offset that SQL has reached.
func (p *Progress) Offset() Offset {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

func (p *Progress) move(since, at Offset) {
	if at.Epoch < p.at.Epoch || p.at.Reaches(at) {
		return
	}
	p.at, p.since = at, since
	p.awaitedSince = time.Now()
	if at.Epoch > p.awaited.Epoch || at.Reaches(p.awaited) {
		p.awaitedSince = time.Time{}
	}
	close(p.moved)
	p.moved = make(chan struct{})
}

// MarkNotApplied records, before Flushed, that SQL did not apply the order's step.
func (p *Progress) MarkNotApplied(id order.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.notApplied[id]; ok {
		return
	}
	p.notApplied[id] = struct{}{}
	p.recent = append(p.recent, id)
	if len(p.recent) > maxNotApplied {
		delete(p.notApplied, p.recent[0])
		p.recent = p.recent[1:]
	}
}
