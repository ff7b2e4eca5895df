package audit

import (
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// FindingsMax bounds the findings of one report: whoever has more than that is helped by the counts, not by another page.
const FindingsMax = 1000

// Report is the outcome of an audit. Its JSON has the names of the RPC's answer.
type Report struct {
	// OK says that no rule is broken.
	OK bool `json:"ok"`
	// Drained says that nothing was allowed to be on its way.
	Drained bool `json:"drained"`
	// Rules are all rules, in the order in which they were checked.
	Rules []Result `json:"rules"`
	// Findings say who breaks a rule, at most FindingsMax; each broken rule has its share of them.
	Findings []Finding `json:"findings"`
	// OrdersInFlight are those whose stock is booked, or given back, and whose row does not say so yet.
	OrdersInFlight int64 `json:"ordersInFlight"`
	// ReadTime is when the data was read, UTC.
	ReadTime time.Time `json:"readTime"`
}

// Result is what became of one rule.
type Result struct {
	Rule        string `json:"rule"`
	Description string `json:"description"`
	// Checked is how many SKUs, orders or rows were looked at, Broken how many findings that gave.
	Checked int64 `json:"checked"`
	Broken  int64 `json:"broken"`
}

// Finding is one order or SKU that breaks a rule.
type Finding struct {
	Rule string `json:"rule"`
	// SKU and OrderID are empty where the rule is not about one.
	SKU     order.SKU `json:"sku,omitempty"`
	OrderID order.ID  `json:"orderId,omitempty"`
	// Detail says what is wrong, with the numbers.
	Detail string `json:"detail"`
}

// BrokenRules is how many rules are broken.
func (r Report) BrokenRules() int {
	n := 0
	for _, res := range r.Rules {
		if res.Broken > 0 {
			n++
		}
	}
	return n
}

// tally takes the flaws that one rule finds: it counts all and keeps the first.
type tally struct {
	rule   string
	broken int64
	kept   []Finding
}

func (t *tally) add(f store.Flaw) {
	if t.broken++; len(t.kept) < FindingsMax {
		t.kept = append(t.kept, Finding{Rule: t.rule, SKU: f.SKU, OrderID: f.OrderID, Detail: f.Detail})
	}
}

// share takes findings from all rules in turn until there are enough, so that one with a million of them does not hide another
// with one. They come in the order of the rules.
func share(tallies []*tally, limit int) []Finding {
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
	out := make([]Finding, 0, limit-left)
	for i, t := range tallies {
		out = append(out, t.kept[:take[i]]...)
	}
	return out
}
