package workers

import (
	"sync"

	"github.com/spillway/spillway/order"
)

// seen remembers the orders of the present scan and of the one before, so that an order that stays as it is for many scans is logged
// once. It is as large as two scans. The zero value is empty; it is safe for concurrent use.
type seen struct {
	mu          sync.Mutex
	now, before map[order.ID]bool
}

// first says whether neither scan has seen the order.
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
