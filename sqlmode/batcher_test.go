package sqlmode

import (
	"errors"
	"slices"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
)

// stubRun is a batcher with a first batch that lasts until goOn. It records the sizes of the batches.
type stubRun struct {
	batcher

	started, goOn chan struct{}
	sizes         []int
}

// startRun returns when the first batch, of one step, is under way.
func startRun(t *testing.T) *stubRun {
	t.Helper()
	r := &stubRun{started: make(chan struct{}), goOn: make(chan struct{})}
	r.run = func(steps []*step) {
		r.sizes = append(r.sizes, len(steps))
		if len(r.sizes) == 1 {
			close(r.started)
			<-r.goOn
		}
	}
	r.enqueued(t, stepOf(1, 1))
	<-r.started
	return r
}

// stepOf is an order with so many lines in the epoch.
func stepOf(epoch int64, lines int) *step {
	return &step{epoch: journal.Epoch{Number: epoch}, reserve: &stock.Request{Demand: make([]order.Demand, lines)}, done: make(chan struct{}, 1)}
}

func (r *stubRun) enqueued(t *testing.T, steps ...*step) {
	t.Helper()
	for _, s := range steps {
		if err := r.enqueue(s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBatcher_WhatWaitsSharesATransaction, up to the bounds of steps and lines, and of one epoch.
func TestBatcher_WhatWaitsSharesATransaction(t *testing.T) {
	many := func(n, lines int) (out []*step) {
		for range n {
			out = append(out, stepOf(1, lines))
		}
		return out
	}
	for name, c := range map[string]struct {
		waiting []*step
		want    []int // behind the first one
	}{
		"few":               {many(7, 1), []int{7}},
		"more than a batch": {many(maxBatch+3, 1), []int{maxBatch, 3}},
		"many lines":        {many(5, maxBatchLines/2), []int{2, 2, 1}},
		"one too large":     {many(2, maxBatchLines+1), []int{1, 1}},
		"two epochs":        {append(many(2, 1), stepOf(2, 1), stepOf(2, 1), stepOf(1, 1)), []int{2, 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRun(t)
			r.enqueued(t, c.waiting...)
			close(r.goOn)
			for _, s := range c.waiting {
				<-s.done
			}
			if got := r.sizes[1:]; !slices.Equal(got, c.want) {
				t.Errorf("batches of %v; want %v", got, c.want)
			}
		})
	}
}

// TestBatcher_Full: what would wait behind maxWaiting steps is refused at once.
func TestBatcher_Full(t *testing.T) {
	r := startRun(t)
	defer close(r.goOn)
	for range maxWaiting {
		r.enqueued(t, stepOf(1, 1))
	}
	if err := r.enqueue(stepOf(1, 1)); !errors.Is(err, order.ErrOverloaded) {
		t.Errorf("step %d: %v; want ErrOverloaded", maxWaiting+1, err)
	}
}
