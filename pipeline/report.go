package pipeline

import (
	"slices"
	"time"
)

// Report is what one process published about itself.
type Report struct {
	// ID is unique to one run of a process.
	ID string `json:"id"`
	// Role is all, serve or work.
	Role string `json:"role"`
	Host string `json:"host"`
	// StartedAt is when the process started.
	StartedAt time.Time `json:"started_at"`
	// Stages are those that the process runs.
	Stages map[Stage]Figures `json:"stages"`
	// Breakers are the states of its breakers by name: closed, half-open or open.
	Breakers map[string]string `json:"breakers"`
	// Audit is the newest audit that it ran; nil if there was none.
	Audit *Audit `json:"audit,omitempty"`
	// Age is how old the report is. It is not published.
	Age time.Duration `json:"-"`
}

// Audit is the result of an audit.
type Audit struct {
	At         time.Time `json:"at"`
	Violations int64     `json:"violations"`
	// Rules are the violated ones, sorted.
	Rules []string `json:"rules,omitempty"`
}

// Figures are what one or several processes did in a stage. Rates are a second, over Window.
type Figures struct {
	// Total and Failures are since the processes started.
	Total    int64 `json:"total"`
	Failures int64 `json:"failures,omitempty"`
	// PerSecond are items done, FailuresPerSecond failed calls or iterations.
	PerSecond         float64 `json:"per_second,omitempty"`
	FailuresPerSecond float64 `json:"failures_per_second,omitempty"`
	// Batches are batches, BatchItems their items.
	Batches    float64 `json:"batches,omitempty"`
	BatchItems float64 `json:"batch_items,omitempty"`
	// Ages are orders of which the age was measured, AgeSeconds the sum of their ages.
	Ages       float64 `json:"ages,omitempty"`
	AgeSeconds float64 `json:"age_seconds,omitempty"`
	// Active is what is in progress; nil if that is not measured.
	Active *int64 `json:"active,omitempty"`
	// Outcomes are the results of checkouts and of their steps.
	Outcomes map[string]float64 `json:"outcomes,omitempty"`
}

// between returns the figures of one stage from two readings of its counters.
func between(from, to *counts, elapsed time.Duration) Figures {
	rate := func(a, b float64) float64 {
		if elapsed <= 0 {
			return 0
		}
		return (b - a) / elapsed.Seconds()
	}
	f := Figures{
		Total: int64(to.items), Failures: int64(to.failures),
		PerSecond: rate(from.items, to.items), FailuresPerSecond: rate(from.failures, to.failures),
		Batches: rate(from.batches, to.batches), BatchItems: rate(from.batchItems, to.batchItems),
		Ages: rate(from.ages, to.ages), AgeSeconds: rate(from.ageSum, to.ageSum),
	}
	if to.active >= 0 {
		f.Active = &to.active
	}
	for outcome, n := range to.outcomes {
		if r := rate(from.outcomes[outcome], n); r > 0 {
			if f.Outcomes == nil {
				f.Outcomes = make(map[string]float64)
			}
			f.Outcomes[outcome] = r
		}
	}
	return f
}

// add adds the figures of another process.
func (f *Figures) add(o Figures) {
	f.Total += o.Total
	f.Failures += o.Failures
	f.PerSecond += o.PerSecond
	f.FailuresPerSecond += o.FailuresPerSecond
	f.Batches += o.Batches
	f.BatchItems += o.BatchItems
	f.Ages += o.Ages
	f.AgeSeconds += o.AgeSeconds
	if o.Active != nil {
		sum := *o.Active
		if f.Active != nil {
			sum += *f.Active
		}
		f.Active = &sum
	}
	for outcome, n := range o.Outcomes {
		if f.Outcomes == nil {
			f.Outcomes = make(map[string]float64)
		}
		f.Outcomes[outcome] += n
	}
}

// RunStages returns the stages that the process runs, in the order of an order's path.
func (r Report) RunStages() []Stage {
	return slices.DeleteFunc(Stages(), func(s Stage) bool { _, runs := r.Stages[s]; return !runs })
}
