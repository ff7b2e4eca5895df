package audit_test

import (
	"cmp"
	"context"
	"slices"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/order"
)

// fakeCounters is a Redis with the given counters.
type fakeCounters struct {
	audit.CounterState
	err error
}

func (f *fakeCounters) Counters(context.Context, int64) (audit.CounterState, error) {
	return f.CounterState, f.err
}

// fakeProvider is a provider with the given statement.
type fakeProvider struct {
	lines map[order.ID]audit.StatementLine
	err   error
}

func (f *fakeProvider) Statement(_ context.Context, after order.ID, limit int) ([]audit.StatementLine, error) {
	var out []audit.StatementLine
	for id, l := range f.lines {
		if id > after {
			l.OrderID = id
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b audit.StatementLine) int { return cmp.Compare(a.OrderID, b.OrderID) })
	return out[:min(limit, len(out), 2)], f.err
}

// externalFixture is a Redis and a provider that agree with SQL after populate, and the id of an order that is not in SQL.
type externalFixture struct {
	counters *fakeCounters
	provider *fakeProvider
	ids      map[string]order.ID
}

func (w *fixture) external() externalFixture {
	full := order.Money{Currency: "EUR", Amount: 898}
	o := externalFixture{
		ids:      w.ids,
		counters: &fakeCounters{CounterState: audit.CounterState{Epoch: 1, LastID: w.offset, Units: map[order.SKU]int64{"A": 92, "B": 46}}},
		provider: &fakeProvider{lines: map[order.ID]audit.StatementLine{
			w.ids["paid"]: {Taken: true, Amount: full}, w.ids["shipped"]: {Taken: true, Amount: full},
			w.ids["failed"]: {Taken: true, Amount: full, Returned: 100}, w.ids["refunded"]: {Taken: true, Amount: full, Returned: 898},
			w.ids["declined"]: {Amount: full},
		}},
	}
	return o
}

// line changes the provider's line of an order.
func (o externalFixture) line(name string, change func(l *audit.StatementLine)) {
	l := o.provider.lines[o.ids[name]]
	change(&l)
	o.provider.lines[o.ids[name]] = l
}

func (o externalFixture) options(drained bool) audit.Options {
	return audit.Options{Drained: drained, Counters: o.counters, Provider: o.provider}
}
