package server

import (
	"net/netip"
	"sync"
)

// shares bound something that clients take without a token: in all, and for each client address. They are safe for concurrent use.
type shares struct {
	all, perAddress int
	trusted         []netip.Prefix

	mu    sync.Mutex
	total int
	from  map[netip.Addr]int
}

func newShares(all, perAddress int, trusted []netip.Prefix) *shares {
	return &shares{all: all, perAddress: perAddress, trusted: trusted, from: make(map[netip.Addr]int)}
}

// enter takes one for the address, or returns the maximum that is reached. A trusted proxy, and a peer without an address, take of all.
func (s *shares) enter(addr netip.Addr) (maximum int, ok bool) {
	own := s.own(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.all {
		return s.all, false
	}
	if own {
		if s.from[addr] >= s.perAddress {
			return s.perAddress, false
		}
		s.from[addr]++
	}
	s.total++
	return 0, true
}

// leave returns what enter took.
func (s *shares) leave(addr netip.Addr) {
	own := s.own(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if own {
		decrement(s.from, addr)
	}
}

// own reports whether the address has a share of its own.
func (s *shares) own(addr netip.Addr) bool { return addr.IsValid() && !isTrusted(addr, s.trusted) }
