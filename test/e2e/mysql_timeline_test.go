package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// timeline is what the buyers of a shop see of one trouble.
type timeline struct {
	mu sync.Mutex
	// began and over are the bounds of the trouble. refused is the first refusal since it began, paid the first order since it is over, and drain when
	// what was acknowledged was in SQL.
	began, over, refused, paid, drain time.Time
	// during are the orders that were answered as paid or pending, and the refusals, until it was over.
	during struct{ paid, pending, refused int }
	// slowest is the longest call of a buyer.
	slowest time.Duration
}

func (l *timeline) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began, l.over, l.refused, l.paid, l.drain = time.Now(), time.Time{}, time.Time{}, time.Time{}, time.Time{}
	l.during, l.slowest = struct{ paid, pending, refused int }{}, 0
}

func (l *timeline) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = time.Now()
}

func (l *timeline) drained() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drain = time.Now()
}

func (l *timeline) firstPaid() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paid
}

// paidMeanwhile returns how many orders were paid since the trouble began.
func (l *timeline) paidMeanwhile() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.during.paid
}

// observe counts a response.
func (l *timeline) observe(r reply, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.began.IsZero() {
		return
	}
	l.slowest = max(l.slowest, took)
	paid := err == nil && r.Status == http.StatusOK && r.Order.State != "ORDER_STATE_PENDING"
	refused := err == nil && r.Status != http.StatusOK
	if refused && l.refused.IsZero() {
		l.refused = time.Now()
	}
	if !l.over.IsZero() {
		if paid && l.paid.IsZero() {
			l.paid = time.Now()
		}
		return
	}
	switch {
	case paid:
		l.during.paid++
	case refused:
		l.during.refused++
	case err == nil:
		l.during.pending++
	}
}

func (l *timeline) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := func(from, to time.Time) string {
		if to.IsZero() {
			return "never"
		}
		return fmt.Sprint(to.Sub(from).Round(10 * time.Millisecond))
	}
	return fmt.Sprintf("first refusal %s; meanwhile %d paid, %d pending, %d refused, slowest call %s; after it the first paid %s, drained %s",
		since(l.began, l.refused), l.during.paid, l.during.pending, l.during.refused, l.slowest.Round(10*time.Millisecond), since(l.over, l.paid),
		since(l.over, l.drain))
}
