package load

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// TestCheck_PlantedDefects plants each defect in a shop that has sold 10.
func TestCheck_PlantedDefects(t *testing.T) {
	t.Parallel()
	first := func(do func(o *spillwayv1.Order) *spillwayv1.Order) func(*spillwayv1.Order) *spillwayv1.Order {
		return func(o *spillwayv1.Order) *spillwayv1.Order {
			if o.GetId() == "00000000000000000000000000" {
				return do(o)
			}
			return o
		}
	}
	for _, c := range []struct {
		name, rule string
		violated   int64
		plant      func(f *fakeShop)
	}{
		{"an order is gone", ruleExists, 1, func(f *fakeShop) {
			f.change = first(func(*spillwayv1.Order) *spillwayv1.Order { return nil })
		}},
		{"a paid order is cancelled", ruleState, 1, func(f *fakeShop) {
			f.change = first(func(o *spillwayv1.Order) *spillwayv1.Order {
				o.State = spillwayv1.OrderState_ORDER_STATE_CANCELLED
				return o
			})
		}},
		{"a paid order waits for its payment again", ruleState, 1, func(f *fakeShop) {
			f.change = first(func(o *spillwayv1.Order) *spillwayv1.Order {
				o.State = spillwayv1.OrderState_ORDER_STATE_PENDING
				return o
			})
		}},
		{"an order from nowhere", ruleExpected, 1, func(f *fakeShop) { f.sell("guest-1", "nobody's") }},
		{"keys are forgotten", ruleOneKey, 10, func(f *fakeShop) { f.before = forgetAfter(f, 300) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := newFakeShop(10)
				c.plant(shop)
				res := mustRun(t, someConfig(), shop)
				if res.Verdict() != StatusViolated || res.Record.Violated != c.violated || res.Record.Violations[0].Rule != c.rule {
					t.Errorf("the record is %+v", res.Record)
				}
			})
		})
	}
}

// forgetAfter forgets the keys once the load is over: a replayed key then finds the product sold out.
func forgetAfter(f *fakeShop, arrivals int) func(context.Context, string, int) error {
	return func(_ context.Context, _ string, n int) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if n > arrivals {
			clear(f.byKey)
		}
		return nil
	}
}

func TestCheck_Oversell(t *testing.T) {
	t.Parallel()
	r := &run{cfg: Config{Stock: 2, SKU: "HOT"}, record: newRecord()}
	b := &shopOrders{unexpected: map[int32]map[string]*spillwayv1.Order{0: {"S": {Lines: []*spillwayv1.OrderLine{{Quantity: 1}}}}}}
	for _, id := range []string{"A", "B"} {
		if got := r.oversold(b); len(got) != 0 {
			t.Errorf("before %s: %+v", id, got)
		}
		r.record.note(visit{quantity: 1}, &buyer{}, response{outcome: Accepted, orderID: id})
	}
	if got := r.oversold(b); len(got) != 1 || got[0].Rule != ruleStock {
		t.Errorf("3 of 2 sold: %+v", got)
	}
}

func TestRecord_OneOrderForTwoKeys(t *testing.T) {
	t.Parallel()
	r := newRecord()
	r.note(visit{n: 1}, &buyer{}, response{outcome: Accepted, orderID: "A"})
	r.note(visit{n: 2}, &buyer{}, response{outcome: Accepted, orderID: "A"})
	if len(r.duplicates) != 1 || r.duplicates[0].Rule != ruleOneKey {
		t.Errorf("found %+v", r.duplicates)
	}
}

func TestVerdict_Audit(t *testing.T) {
	t.Parallel()
	violated := &spillwayv1.RunAuditResponse{
		Rules:    []*spillwayv1.AuditRule{{Rule: "stock_adds_up", Checked: 3, Broken: 1}},
		Findings: []*spillwayv1.AuditFinding{{Rule: "stock_adds_up", Sku: "HOT", Detail: "1 unit too many"}},
	}
	for _, c := range []struct {
		name    string
		audit   func(n int) (*spillwayv1.RunAuditResponse, error)
		status  Status
		verdict Status
	}{
		{"content", func(int) (*spillwayv1.RunAuditResponse, error) { return &spillwayv1.RunAuditResponse{Ok: true}, nil }, StatusOK, StatusOK},
		{"content once all has arrived", func(n int) (*spillwayv1.RunAuditResponse, error) {
			return &spillwayv1.RunAuditResponse{Ok: n == 3}, nil
		}, StatusOK, StatusOK},
		{"never content", func(int) (*spillwayv1.RunAuditResponse, error) { return violated, nil }, StatusViolated, StatusViolated},
		{"unavailable once", func(n int) (*spillwayv1.RunAuditResponse, error) {
			if n < 3 {
				return nil, wire(connect.CodeUnavailable)
			}
			return &spillwayv1.RunAuditResponse{Ok: true}, nil
		}, StatusOK, StatusOK},
		{"refused", func(int) (*spillwayv1.RunAuditResponse, error) { return nil, wire(connect.CodePermissionDenied) }, StatusNotRun, StatusNotRun},
		{"unavailable", func(int) (*spillwayv1.RunAuditResponse, error) { return nil, errors.New("reset") }, StatusNotRun, StatusNotRun},
		{"not there", func(int) (*spillwayv1.RunAuditResponse, error) { return nil, wire(connect.CodeUnimplemented) }, StatusUnimplemented, StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := newFakeShop(10)
				shop.audits = c.audit
				cfg := someConfig()
				cfg.Token = "op"
				if res := mustRun(t, cfg, shop); res.Audit.Status != c.status || res.Verdict() != c.verdict {
					t.Errorf("audit %+v, verdict %s", res.Audit, res.Verdict())
				}
			})
		})
	}
}
