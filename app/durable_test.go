package app

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// TestSQLDurable_Ready: orders are refused while SQL is known to be down, by its breaker or by a journal that is not applied. In SQL mode there is none.
func TestSQLDurable_Ready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := breaker.NewPolicy("sql", breaker.Config{Timeout: time.Second, Failures: 1, Window: 1, Delay: time.Minute})
		inSQL := false
		d := sqlDurable{journal.NewProgress(), policy, func() bool { return inSQL }}
		if err := d.Ready(); err != nil {
			t.Errorf("at first: %v", err)
		}
		if err := d.Wait(t.Context(), journal.Offset{Epoch: 1, ID: "1-0"}, ""); !errors.Is(err, journal.ErrStalled) {
			t.Errorf("the wait: %v; want ErrStalled", err)
		}
		if err := d.Ready(); !errors.Is(err, journal.ErrStalled) {
			t.Errorf("after a wait in vain: %v; want ErrStalled", err)
		}
		inSQL = true
		if err := d.Ready(); err != nil {
			t.Errorf("in SQL mode: %v", err)
		}
		policy.Report(order.ErrUnavailable)
		if err := d.Ready(); !errors.Is(err, order.ErrUnavailable) || errors.Is(err, journal.ErrStalled) {
			t.Errorf("with an open breaker: %v; want its error", err)
		}
	})
}
