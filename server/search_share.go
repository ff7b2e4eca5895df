package server

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

const (
	// searchShare is the part of all searches in progress that one client address may have: two of them read SQL, and the others wait.
	searchShare = 2
	// minSearchesPerAddress is the least share, for processes with few searches.
	minSearchesPerAddress = 4
	// searchRetryDelay is when to try again after a refusal: a search ends within a second.
	searchRetryDelay = time.Second
)

// searchShares bound the searches of each client address that are in progress, so that one client cannot take all places of them. It is safe for
// concurrent use.
type searchShares struct {
	maximum int

	mu       sync.Mutex
	searches map[netip.Addr]int
}

// newSearchShares makes the shares of a process that serves so many searches at once.
func newSearchShares(atOnce int) *searchShares {
	return &searchShares{maximum: max(minSearchesPerAddress, atOnce/searchShare), searches: make(map[netip.Addr]int)}
}

// enter counts a search until leave. It returns an order.LimitError if the address has its share. An address that is not known has no bound.
func (s *searchShares) enter(addr netip.Addr) (leave func(), err error) {
	if !addr.IsValid() {
		return func() {}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.searches[addr] >= s.maximum {
		return nil, &order.LimitError{Limit: order.LimitAddressSearches, Maximum: int64(s.maximum), After: searchRetryDelay}
	}
	s.searches[addr]++
	return func() { s.leave(addr) }, nil
}

func (s *searchShares) leave(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	decrement(s.searches, addr)
}

// intercept refuses searches beyond the share of their address. It runs after addresses.
func (s *searchShares) intercept() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				if req.Spec().Procedure != spillwayv1connect.CatalogServiceSearchProductsProcedure {
					return next(ctx, req)
				}
				leave, err := s.enter(addressFrom(ctx))
				if err != nil {
					return nil, err
				}
				defer leave()
				return next(ctx, req)
			}
		},
	}
}
