package pipeline

import (
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/telemetry"
)

// counts are the counters of one stage since its process started.
type counts struct {
	items, failures float64
	// batches and batchItems count committed batches, ages and ageSum the ages of orders in seconds.
	batches, batchItems float64
	ages, ageSum        float64
	// active is what is in progress; -1 if that is not measured.
	active int64
	// outcomes are by the attribute result.
	outcomes map[string]float64
}

// reading is what the metrics of a process said at one moment.
type reading struct {
	at     time.Time
	stages map[Stage]*counts
	audit  *Audit
}

// The instruments that are read.
const (
	instrumentResults    = "spillway.checkout.results"
	instrumentSteps      = "spillway.checkout.steps"
	instrumentActive     = "spillway.checkout.active"
	instrumentHandled    = "spillway.worker.handled"
	instrumentIterations = "spillway.worker.iterations"
	instrumentBatch      = "spillway.batch.size"
	instrumentAge        = "spillway.order.age"
	instrumentViolations = "spillway.audit.violations"
	instrumentAuditTime  = "spillway.audit.read_time"
)

// The values of the attribute result.
const (
	outcomeAccepted = "accepted"
	outcomePending  = "pending"
	outcomeDone     = "done"
	outcomeFailed   = "failed"
)

// read sorts the series by stage.
func read(at time.Time, series []telemetry.Series) reading {
	r := reading{at: at, stages: make(map[Stage]*counts, len(definitions))}
	for _, d := range definitions {
		r.stages[d.stage] = &counts{active: -1, outcomes: make(map[string]float64)}
	}
	for _, s := range series {
		switch s.Name {
		case instrumentViolations, instrumentAuditTime:
			r.addAudit(s)
			continue
		}
		for _, d := range definitions {
			r.stages[d.stage].add(d, s)
		}
	}
	return r
}

// add adds a series if it belongs to the stage.
func (c *counts) add(d definition, s telemetry.Series) {
	switch result := s.Attribute("result"); {
	case s.Name == instrumentResults && d.stage == Accept:
		c.addResult(result, s.Value)
	case s.Name == instrumentSteps && s.Attribute("step") == d.step:
		c.addStep(result, s.Value)
	case s.Name == instrumentActive && s.Attribute("step") == d.step:
		c.active = int64(s.Value)
	case s.Name == instrumentHandled && s.Attribute("worker") == d.worker:
		c.items += s.Value
		if d.batch == "" {
			c.batchItems += s.Value
		}
	case s.Name == instrumentIterations && s.Attribute("worker") == d.worker:
		c.addIteration(d, result, s.Value)
	case s.Name == instrumentBatch && s.Attribute("batch") == d.batch:
		c.batches, c.batchItems = c.batches+float64(s.Count), c.batchItems+s.Value
	case s.Name == instrumentAge && s.Attribute("at") == d.age:
		c.ages, c.ageSum = c.ages+float64(s.Count), c.ageSum+s.Value
	}
}

// failedResults are the results of PlaceOrder that are failures of the shop, and of the alert CheckoutsFail. What a shop refuses as it should,
// such as an order of what is sold out, is none.
var failedResults = map[string]bool{
	string(order.ReasonUnavailable): true, string(order.ReasonInternal): true, string(order.ReasonOverloaded): true,
	string(order.ReasonJournalFull): true, string(order.ReasonDeadlineExceeded): true,
}

// addResult adds a result of PlaceOrder. A repeated request is neither a new order nor a failure.
func (c *counts) addResult(result string, n float64) {
	c.outcomes[result] += n
	switch {
	case result == outcomeAccepted, result == outcomePending:
		c.items += n
	case failedResults[result]:
		c.failures += n
	}
}

// addStep adds a step of checkouts. What was refused, such as a declined card, is no failure.
func (c *counts) addStep(result string, n float64) {
	c.outcomes[result] += n
	switch result {
	case outcomeDone:
		c.items += n
	case outcomeFailed:
		c.failures += n
	}
}

func (c *counts) addIteration(d definition, result string, n float64) {
	switch {
	case result == outcomeFailed:
		c.failures += n
	case d.batch == "":
		c.batches += n
	}
}

// addAudit adds a series of the newest audit.
func (r *reading) addAudit(s telemetry.Series) {
	if r.audit == nil {
		r.audit = &Audit{}
	}
	if s.Name == instrumentAuditTime {
		r.audit.At = time.UnixMilli(int64(s.Value * 1e3)).UTC()
		return
	}
	if n := int64(s.Value); n > 0 {
		r.audit.Violations += n
		r.audit.Rules = append(r.audit.Rules, s.Attribute("rule"))
	}
}
