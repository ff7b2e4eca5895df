package audit

import (
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// MaxViolations is the maximum number of violations in one report; the counts per rule are complete.
const MaxViolations = 1000

// Report is the result of an audit. Its JSON names are those of RunAuditResponse in the .proto file.
type Report struct {
	// OK means that no rule is violated.
	OK bool `json:"ok"`
	// Drained means that the audit allowed nothing in flight.
	Drained bool `json:"drained"`
	// Rules are the checked rules, in the order of their checks.
	Rules []Result `json:"rules"`
	// Violations lists the first violations, at most MaxViolations; each violated rule has its share of them.
	Violations []Violation `json:"findings"`
	// OrdersInFlight is the number of orders with stock that is taken or returned, and a row that does not reflect it
	// yet.
	OrdersInFlight int64 `json:"orders_in_flight"`
	// ReadTime is the time when the data was read, in UTC.
	ReadTime time.Time `json:"read_time"`
}

// Result is the result of one rule.
type Result struct {
	Rule        string `json:"rule"`
	Description string `json:"description"`
	// Checked is the number of SKUs, orders or rows that were read, Violations the number of those that violate the
	// rule.
	Checked    int64 `json:"checked"`
	Violations int64 `json:"broken"`
}

// Violation is one order or SKU that violates a rule.
type Violation struct {
	Rule string `json:"rule"`
	// SKU and OrderID are empty if the rule is not about one.
	SKU     order.SKU `json:"sku,omitempty"`
	OrderID order.ID  `json:"order_id,omitempty"`
	// Detail describes the violation, with the numbers.
	Detail string `json:"detail"`
}

// ViolatedRules returns the number of violated rules.
func (r Report) ViolatedRules() int {
	n := 0
	for _, res := range r.Rules {
		if res.Violations > 0 {
			n++
		}
	}
	return n
}

// tally collects the violations of one rule: it counts all and keeps the first.
type tally struct {
	rule       string
	violations int64
	kept       []Violation
}

func (t *tally) add(f store.Violation) {
	if t.violations++; len(t.kept) < MaxViolations {
		t.kept = append(t.kept, Violation{Rule: t.rule, SKU: f.SKU, OrderID: f.OrderID, Detail: f.Detail})
	}
}

// share takes violations from all rules in turn up to the limit, so that a rule with a million of them does not hide
// one with a single one. They are sorted by rule.
func share(tallies []*tally, limit int) []Violation {
	take, left := make([]int, len(tallies)), limit
	for more := true; more && left > 0; {
		more = false
		for i, t := range tallies {
			if take[i] < len(t.kept) && left > 0 {
				take[i]++
				left--
				more = true
			}
		}
	}
	out := make([]Violation, 0, limit-left)
	for i, t := range tallies {
		out = append(out, t.kept[:take[i]]...)
	}
	return out
}
