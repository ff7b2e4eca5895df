package stock

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// MaxLoadEntries and MaxBatchSKUs bound one call of the load script.
const (
	MaxLoadEntries = maxLoadEntries
	MaxBatchSKUs   = maxBatchSKUs
)

// SetLoadEntries sets how many journal entries one call of the load script reads.
func (s *Stock) SetLoadEntries(n int) { s.loadEntries = n }

// Load loads the counters of the SKUs.
func (s *Stock) Load(ctx context.Context, skus []order.SKU) error { return s.load(ctx, skus) }

// WaitingLoads is the number of SKUs that wait for the next batch.
func (s *Stock) WaitingLoads() int {
	s.loads.mu.Lock()
	defer s.loads.mu.Unlock()
	return len(s.loads.waiting)
}

// SetEpochWait sets how long a step waits for a new epoch, and for SQL.
func (s *Stock) SetEpochWait(d time.Duration) { s.epochWait = d }

// ReserveTogether runs the reserve script once for all of the requests, in their order, and returns its replies.
func (s *Stock) ReserveTogether(t testing.TB, requests []Request) [][]string {
	t.Helper()
	replies, errs := s.TryReserveTogether(requests)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return replies
}

// TryReserveTogether is ReserveTogether with the error of each.
func (s *Stock) TryReserveTogether(requests []Request) (replies [][]string, errs []error) {
	epoch, err := s.epochs.Current()
	if err != nil {
		return nil, []error{err}
	}
	return s.reserveIn(epoch, requests)
}

// ReserveIn is ReserveTogether in an epoch.
func (s *Stock) ReserveIn(t testing.TB, epoch journal.Epoch, requests []Request) [][]string {
	t.Helper()
	replies, errs := s.reserveIn(epoch, requests)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return replies
}

func (s *Stock) reserveIn(epoch journal.Epoch, requests []Request) (replies [][]string, errs []error) {
	var items []reserveCall
	for _, r := range requests {
		items = append(items, reserveCall{s.names(epoch), r})
	}
	return together(s.runReserves, items)
}

// SettleTogether runs the settle script once for all of the orders, and returns its replies.
func (s *Stock) SettleTogether(t testing.TB, ids []order.ID) [][]string {
	t.Helper()
	epoch, err := s.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	return s.SettleIn(t, epoch, ids)
}

// SettleIn is SettleTogether in an epoch.
func (s *Stock) SettleIn(t testing.TB, epoch journal.Epoch, ids []order.ID) [][]string {
	t.Helper()
	var items []settleCall
	for _, id := range ids {
		items = append(items, settleCall{s.names(epoch), id, "ch", ""})
	}
	replies, errs := together(s.runSettles, items)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return replies
}

func together[T any](run func([]*batchCall[T]), items []T) (replies [][]string, errs []error) {
	var calls []*batchCall[T]
	for _, i := range items {
		calls = append(calls, &batchCall[T]{item: i})
	}
	run(calls)
	for _, c := range calls {
		replies, errs = append(replies, c.reply), append(errs, c.err)
	}
	return replies, errs
}

// DelayRuns delays the calls of the reserve and settle scripts from now on, and counts them.
func (s *Stock) DelayRuns(by time.Duration) (count func() int64) {
	var n atomic.Int64
	reserve, settle := s.reserves.run, s.settles.run
	s.reserves.run = func(calls []*batchCall[reserveCall]) { n.Add(1); <-time.After(by); reserve(calls) }
	s.settles.run = func(calls []*batchCall[settleCall]) { n.Add(1); <-time.After(by); settle(calls) }
	return n.Load
}
