package load

import (
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// Status is the result of a check.
type Status string

const (
	// StatusOK means that the check ran and found no violation.
	StatusOK Status = "ok"
	// StatusViolated means that the check ran and found violations.
	StatusViolated Status = "violated"
	// StatusNotRun means that the check could not run.
	StatusNotRun Status = "not_run"
	// StatusSkipped means that the check was not requested.
	StatusSkipped Status = "skipped"
	// StatusUnimplemented means that the shop does not offer the check.
	StatusUnimplemented Status = "unimplemented"
)

// Result is the result of a load. Its JSON is the output of --output json. Durations are in milliseconds.
type Result struct {
	Run      string  `json:"run"`
	URL      string  `json:"url"`
	Scenario string  `json:"scenario"`
	SKU      string  `json:"sku,omitempty"`
	Stock    int64   `json:"stock,omitempty"`
	Arrivals string  `json:"arrivals"`
	Rate     float64 `json:"rate_per_second"`
	Duration float64 `json:"duration_s"`
	Seed     uint64  `json:"seed"`
	Buyers   int     `json:"buyers"`

	Started time.Time `json:"started"`
	// Took is the time until the last arrival had its outcome.
	Took        float64 `json:"took_s"`
	Interrupted bool    `json:"interrupted,omitempty"`
	// Arrived is the number of scheduled arrivals, Sent the number of those that were sent.
	Arrived int64 `json:"arrived"`
	Sent    int64 `json:"sent"`
	Retries int64 `json:"retries"`
	// Outcomes contains every outcome, also those with a count of 0. Latencies are from the planned time to the last
	// response.
	Outcomes map[string]OutcomeRow `json:"outcomes"`
	// Codes counts the errors behind the outcomes.
	Codes map[string]int64 `json:"codes,omitempty"`
	// Calls are single attempts, measured from their actual sending, as a closed loop would measure them.
	Calls map[string]Percentiles `json:"calls"`
	// Lag is the delay of the generator itself.
	Lag Percentiles `json:"generator_lag_ms"`

	TimeToDurable Follow `json:"time_to_durable"`
	TimeToShipped Follow `json:"time_to_shipped"`

	Record RecordCheck `json:"record"`
	Audit  AuditCheck  `json:"audit"`
	Series []Point     `json:"series"`

	curves []curve
}

// OutcomeRow is the count and the latency of an outcome.
type OutcomeRow struct {
	Count     int64       `json:"count"`
	PerSecond float64     `json:"per_second"`
	Latency   Percentiles `json:"latency_ms"`
}

// Percentiles are those of an HDR histogram, in milliseconds; all 0 if it is empty.
type Percentiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99_9"`
	Max   float64 `json:"max"`
}

// Follow is the time that accepted orders took to reach a later stage.
type Follow struct {
	// Followed is the number of observed orders, Arrived the number of those that reached the stage.
	Followed int64       `json:"followed"`
	Arrived  int64       `json:"arrived"`
	Latency  Percentiles `json:"ms"`
}

// Violation is a violated rule, with the order or SKU that violates it.
type Violation struct {
	Rule    string `json:"rule"`
	SKU     string `json:"sku,omitempty"`
	OrderID string `json:"order_id,omitempty"`
	Detail  string `json:"detail"`
}

// RecordCheck compares the client's own record with the shop's data after the load.
type RecordCheck struct {
	Status Status `json:"status"`
	Note   string `json:"note,omitempty"`
	// Orders is the number of orders that were acknowledged to the client.
	Orders int64 `json:"orders"`
	// States counts them by their last state.
	States map[string]int64 `json:"states,omitempty"`
	// Replayed is the number of orders that were sent again with the same key and returned the same order.
	Replayed int64 `json:"replayed"`
	// Unacknowledged is the number of orders unknown to the client; each needs a call without a response.
	Unacknowledged int64 `json:"unacknowledged"`
	// Violated is the number of violations; Violations lists the first of them.
	Violated   int64       `json:"violated"`
	Violations []Violation `json:"violations,omitempty"`
}

// AuditCheck is the result of the shop's own audit.
type AuditCheck struct {
	Status     Status      `json:"status"`
	Note       string      `json:"note,omitempty"`
	InFlight   int64       `json:"orders_in_flight"`
	Rules      []AuditRule `json:"rules,omitempty"`
	Violations []Violation `json:"violations,omitempty"`
}

// AuditRule is one rule of the audit.
type AuditRule struct {
	Rule        string `json:"rule"`
	Description string `json:"description"`
	Checked     int64  `json:"checked"`
	Violations  int64  `json:"violations"`
}

// Point is a time interval of the run.
type Point struct {
	At        float64          `json:"at_s"`
	Width     float64          `json:"width_s"`
	Counts    map[string]int64 `json:"counts"`
	LatencyMS Percentiles      `json:"latency_ms"`
}

// Verdict is StatusViolated if a check found a violation, StatusNotRun if one could not run, and StatusOK otherwise,
// also if the shop has no audit (see Audit).
func (r *Result) Verdict() Status {
	for _, s := range []Status{StatusViolated, StatusNotRun} {
		if r.Record.Status == s || r.Audit.Status == s {
			return s
		}
	}
	return StatusOK
}

// notChecked marks both checks as not run, with the reason.
func (r *Result) notChecked(why string) {
	r.Record = RecordCheck{Status: StatusNotRun, Note: why}
	r.Audit = AuditCheck{Status: StatusNotRun, Note: why}
}

func percentiles(h histogram) Percentiles {
	if h.count() == 0 {
		return Percentiles{}
	}
	return Percentiles{Count: h.count(), P50: ms(h.at(50)), P90: ms(h.at(90)), P99: ms(h.at(99)), P999: ms(h.at(99.9)), Max: ms(h.max())}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// result summarizes the measurements; the checks follow.
func (r *run) result(took time.Duration) *Result {
	s := r.stats
	res := &Result{
		Run: r.id, URL: r.cfg.URL, Scenario: r.cfg.Scenario, SKU: r.cfg.SKU, Stock: r.cfg.Stock, Arrivals: r.cfg.Arrivals,
		Rate: r.cfg.Rate, Duration: r.cfg.Duration.Seconds(), Seed: r.cfg.Seed, Buyers: len(r.buyers.all), Started: r.start.UTC(),
		Took: took.Seconds(), Retries: s.retries, Codes: s.codes, Lag: percentiles(s.lag),
		Outcomes: make(map[string]OutcomeRow, outcomes), Calls: make(map[string]Percentiles, len(s.steps)),
		TimeToDurable: Follow{Followed: r.probes.tried, Arrived: r.probes.seen.count(), Latency: percentiles(r.probes.seen)},
	}
	for o := range outcomes {
		res.Arrived += s.counts[o]
		res.Outcomes[o.String()] = OutcomeRow{
			Count: s.counts[o], PerSecond: float64(s.counts[o]) / r.cfg.Duration.Seconds(), Latency: percentiles(s.latencies[o]),
		}
		res.curves = appendCurve(res.curves, o.String(), s.latencies[o])
	}
	res.Sent = res.Arrived - s.counts[NotSent]
	for name, h := range s.steps {
		res.Calls[name] = percentiles(h)
	}
	for i, b := range s.buckets {
		p := Point{At: (time.Duration(i) * s.width).Seconds(), Width: s.width.Seconds(), Counts: make(map[string]int64), LatencyMS: percentiles(b.latency)}
		for o, n := range b.counts {
			if n > 0 {
				p.Counts[Outcome(o).String()] = n //nolint:gosec // It is below outcomes.
			}
		}
		res.Series = append(res.Series, p)
	}
	res.curves = appendCurve(res.curves, curveDurable, r.probes.seen)
	return res
}

// shipped fills in the time to shipped of every accepted order: from its creation to its SHIPPED, by the shop's clock.
func (r *run) shipped(res *Result) {
	h := newHistogram(digits)
	for _, e := range r.record.orders {
		if e.outcome != Accepted {
			continue
		}
		if res.TimeToShipped.Followed++; e.state == spillwayv1.OrderState_ORDER_STATE_SHIPPED {
			h.record(e.shippedAfter)
		}
	}
	res.TimeToShipped.Arrived, res.TimeToShipped.Latency = h.count(), percentiles(h)
	res.curves = appendCurve(res.curves, curveShipped, h)
}
