package journal

import (
	"context"
	"errors"
	"sync"

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
}

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
)

// NewProgress makes a Progress without an offset.
func NewProgress() *Progress {
	return &Progress{moved: make(chan struct{}), notApplied: make(map[order.ID]struct{})}
}

// Wait returns once SQL holds everything up to the offset. It returns ErrEpochPassed, ErrStepNotApplied when SQL did not apply the order's
// step there, ErrUnverified when another process flushed there, or the error of ctx. Without an order it waits for the offset alone. The zero Offset is
// that of a step that was taken in SQL.
func (p *Progress) Wait(ctx context.Context, offset Offset, id order.ID) error {
	if offset == (Offset{}) {
		return nil
	}
	for {
		p.mu.Lock()
		at, since, moved := p.at, p.since, p.moved
		_, notApplied := p.notApplied[id]
		p.mu.Unlock()
		switch {
		case at.Reaches(offset) && notApplied:
			return ErrStepNotApplied
		case at.Reaches(offset) && id != "" && since.Reaches(offset):
			return ErrUnverified
		case at.Reaches(offset):
			return nil
		case at.Epoch > offset.Epoch:
			return ErrEpochPassed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
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
