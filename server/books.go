package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// Books reads the balances of SKUs.
type Books interface {
	Books(ctx context.Context, after order.SKU, limit int) ([]store.BookLine, time.Time, error)
}

// WithBooks adds the balances that ListBalances returns.
func (s *Audit) WithBooks(books Books) *Audit {
	s.books = books
	return s
}

// ListBalances returns a page of balances. It has a place and a time of its own, as audits have: it reads the items of many orders.
func (s *Audit) ListBalances(ctx context.Context, req *spillwayv1.ListBalancesRequest) (*spillwayv1.ListBalancesResponse, error) {
	after, err := pageAfter(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	select {
	case s.bookPlaces <- struct{}{}:
		defer func() { <-s.bookPlaces }()
	default:
		return nil, &order.RetryError{After: auditRetryDelay, Err: order.Refuse(order.ErrOverloaded, order.ReasonAuditRunning, "other balances are being read")}
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	n := pageSize(req.GetPageSize())
	found, read, err := s.books.Books(bounded, order.SKU(after), n+1)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return nil, order.Refuse(order.ErrFailedPrecondition, order.ReasonAuditTooLong, "the balances take more than %s; take a smaller page", s.timeout)
	}
	if err != nil {
		return nil, err
	}
	page, next := paginate(found, n, func(b store.BookLine) string { return string(b.SKU) })
	resp := &spillwayv1.ListBalancesResponse{NextPageToken: next, ReadTime: timestamppb.New(read)}
	for _, b := range page {
		resp.Balances = append(resp.Balances, &spillwayv1.StockBalance{
			Sku: string(b.SKU), Name: b.Name, Initial: b.Initial, Restocked: b.Restocked, OnHand: b.OnHand, Held: b.Held, Sold: b.Sold,
			Returning: b.Returning, Difference: b.Difference(),
		})
	}
	return resp, nil
}
