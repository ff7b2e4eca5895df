package workers

import (
	"sync"

	"github.com/spillway/spillway/order"
)

// seen is the set of orders of the present scan and of the one before, so that an order that does not change for many scans is logged
// once. Its size is bounded by two scans. The zero value is empty; it is safe for concurrent use.
type seen struct {
	mu          sync.Mutex
	now, before map[order.ID]bool
}

// first adds the order and reports whether neither scan had it.
func (s *seen) first(id order.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = make(map[order.ID]bool)
	}
	known := s.now[id] || s.before[id]
	s.now[id] = true
	return !known
}

// next begins the next scan.
func (s *seen) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.before = nil, s.now
}
