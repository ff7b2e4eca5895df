package stock

import (
	"context"
	"errors"
	"sync"

	"github.com/spillway/spillway/order"
)

// Progress tells how far the flusher of this process brought SQL, and wakes those who wait for a place.
type Progress struct {
	mu sync.Mutex
	at Position
	// since is the place behind which this process flushed everything up to at: it knows which orders SQL refused there.
	since   Position
	moved   chan struct{}
	refused map[order.ID]struct{}
	recent  []order.ID // the refused ones in their order, so that the oldest can be forgotten
}

// refusedMax bounds the refused orders that are remembered; their waiters ask within milliseconds.
const refusedMax = 10_000

var (
	// ErrEpochPassed means that the epoch of the awaited place was closed: only SQL knows whether the place was
	// reached before.
	ErrEpochPassed = errors.New("the epoch was closed")
	// ErrUnverified means that SQL holds the place, but another process flushed it: only SQL knows whether it refused the order's step.
	ErrUnverified = errors.New("another process flushed the order's step")
	// ErrStepNotApplied means that SQL holds the order in a state that does not let this step happen: its key belongs to
	// another order.
	ErrStepNotApplied = errors.New("sql refused the order's step")
)

// NewProgress starts at no place.
func NewProgress() *Progress {
	return &Progress{moved: make(chan struct{}), refused: make(map[order.ID]struct{})}
}

// Wait returns once SQL holds everything up to the place. It fails with ErrEpochPassed, with ErrStepNotApplied when SQL refused the order there, with
// ErrUnverified when another process brought SQL there, or with ctx. Without an order it waits for the place alone.
func (p *Progress) Wait(ctx context.Context, place Position, id order.ID) error {
	for {
		p.mu.Lock()
		at, since, moved := p.at, p.since, p.moved
		_, refused := p.refused[id]
		p.mu.Unlock()
		switch {
		case at.Reaches(place) && refused:
			return ErrStepNotApplied
		case at.Reaches(place) && id != "" && since.Reaches(place):
			return ErrUnverified
		case at.Reaches(place):
			return nil
		case at.Epoch > place.Epoch:
			return ErrEpochPassed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// Set moves the place to where SQL was found, which never goes back, and wakes the waiters. What lies before it was flushed elsewhere.
func (p *Progress) Set(at Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.move(at, at)
}

// Flushed moves the place, after a flush of this process whose refusals were remembered. Between from, where SQL was before, and the
// place, nobody else has flushed.
func (p *Progress) Flushed(from, at Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == from {
		from = p.since
	}
	p.move(from, at)
}

func (p *Progress) move(since, at Position) {
	if at.Epoch < p.at.Epoch || p.at.Reaches(at) {
		return
	}
	p.at, p.since = at, since
	close(p.moved)
	p.moved = make(chan struct{})
}

// Refuse remembers, before Flushed, that SQL refused the order's step.
func (p *Progress) Refuse(id order.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.refused[id]; ok {
		return
	}
	p.refused[id] = struct{}{}
	p.recent = append(p.recent, id)
	if len(p.recent) > refusedMax {
		delete(p.refused, p.recent[0])
		p.recent = p.recent[1:]
	}
}
