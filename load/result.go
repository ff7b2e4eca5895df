package load

import (
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// Status is how a check ended.
type Status string

const (
	// StatusOK means that it was made and found nothing.
	StatusOK Status = "ok"
	// StatusBroken means that it was made and found something.
	StatusBroken Status = "broken"
	// StatusNotRun means that it could not be made.
	StatusNotRun Status = "not_run"
	// StatusSkipped means that it was not asked for.
	StatusSkipped Status = "skipped"
	// StatusUnimplemented means that the shop does not offer it.
	StatusUnimplemented Status = "unimplemented"
)

// Result is what a run found; its JSON is what --output json prints. Durations are in milliseconds.
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
	// Took is until the last arrival had its outcome.
	Took        float64 `json:"took_s"`
	Interrupted bool    `json:"interrupted,omitempty"`
	// Arrived is how many arrivals the schedule had, Sent how many of them were sent.
	Arrived int64 `json:"arrived"`
	Sent    int64 `json:"sent"`
	Retries int64 `json:"retries"`
	// Outcomes has every outcome, also those that did not happen. Latencies are from the intended moment to the last answer.
	Outcomes map[string]OutcomeRow `json:"outcomes"`
	// Codes are the errors behind the outcomes.
	Codes map[string]int64 `json:"codes,omitempty"`
	// Calls are single attempts, from when they were really sent: what a closed loop would have seen.
	Calls map[string]Percentiles `json:"calls"`
	// Lag is how late the generator itself was.
	Lag Percentiles `json:"generator_lag_ms"`

	TimeToDurable Follow `json:"time_to_durable"`
	TimeToShipped Follow `json:"time_to_shipped"`

	Record RecordCheck `json:"record"`
	Audit  AuditCheck  `json:"audit"`
	Series []Point     `json:"series"`

	curves []curve
}

// OutcomeRow is how often an outcome was, and how long it took.
type OutcomeRow struct {
	Count     int64       `json:"count"`
	PerSecond float64     `json:"per_second"`
	Latency   Percentiles `json:"latency_ms"`
}

// Percentiles are of an HDR histogram, in milliseconds; all 0 when it is empty.
type Percentiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99_9"`
	Max   float64 `json:"max"`
}

// Follow is how long it took accepted orders to come somewhere.
type Follow struct {
	// Followed is how many orders were looked at, Arrived how many of them had come.
	Followed int64       `json:"followed"`
	Arrived  int64       `json:"arrived"`
	Latency  Percentiles `json:"ms"`
}

// Violation is something that must not be.
type Violation struct {
	Rule    string `json:"rule"`
	SKU     string `json:"sku,omitempty"`
	OrderID string `json:"order_id,omitempty"`
	Detail  string `json:"detail"`
}

// RecordCheck is how the client's own record compares with what the shop says after the load.
type RecordCheck struct {
	Status Status `json:"status"`
	Note   string `json:"note,omitempty"`
	// Orders is how many orders the client was told of.
	Orders int64 `json:"orders"`
	// States is how many of them were in which state at last.
	States map[string]int64 `json:"states,omitempty"`
	// Replayed is how many were sent again with the same key and answered with the same order.
	Replayed int64 `json:"replayed"`
	// Untold is how many orders the client was not told of; each needs a call that was not answered.
	Untold int64 `json:"untold"`
	// Broken is how many violations there are; Violations are the first of them.
	Broken     int64       `json:"broken"`
	Violations []Violation `json:"violations,omitempty"`
}

// AuditCheck is what the shop's own audit said.
type AuditCheck struct {
	Status   Status      `json:"status"`
	Note     string      `json:"note,omitempty"`
	InFlight int64       `json:"orders_in_flight"`
	Rules    []AuditRule `json:"rules,omitempty"`
	Findings []Violation `json:"findings,omitempty"`
}

// AuditRule is one rule of the audit.
type AuditRule struct {
	Rule        string `json:"rule"`
	Description string `json:"description"`
	Checked     int64  `json:"checked"`
	Broken      int64  `json:"broken"`
}

// Point is a stretch of the run.
type Point struct {
	At        float64          `json:"at_s"`
	Width     float64          `json:"width_s"`
	Counts    map[string]int64 `json:"counts"`
	LatencyMS Percentiles      `json:"latency_ms"`
}

// Verdict is StatusBroken when a check found something, StatusNotRun when one could not be made, and StatusOK otherwise: also
// when there was no audit to ask for, which Audit says.
func (r *Result) Verdict() Status {
	for _, s := range []Status{StatusBroken, StatusNotRun} {
		if r.Record.Status == s || r.Audit.Status == s {
			return s
		}
	}
	return StatusOK
}

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

// result sums up what was measured; the checks come later.
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

// shipped fills in the time to shipped, of every accepted order: from its creation to its SHIPPED, as the shop says.
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
