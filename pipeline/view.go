package pipeline

import (
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
)

// The dependencies that a view is read from.
const (
	sourceRedis = "redis"
	sourceSQL   = "sql"
)

// View is the shop at one moment. What could not be read is nil or zero.
type View struct {
	// At is when it was read.
	At        time.Time
	Partition Partition
	// Stages has every stage, in the order of an order's path.
	Stages []StageView
	// Processes are the newest reports of the shop's processes, those that started first at the beginning. Self is the id of this one.
	Processes []Report
	Self      string
	// DeadLetters are the open ones by source; nil if SQL was unavailable.
	DeadLetters map[string]int64
	// Audit is the newest one of any process; nil if there was none.
	Audit *Audit
	// Unavailable are the dependencies that could not be read.
	Unavailable []string
}

// Partition is the journal of a partition and its readers.
type Partition struct {
	Number uint8
	// Epoch is the open one; its Number is 0 while this process has none, for the reason ClosedReason.
	Epoch        journal.Epoch
	ClosedReason string
	// Flushed is SQL's offset; zero if SQL was unavailable.
	Flushed journal.Offset
	// Readers is nil if Redis was unavailable.
	Readers *journal.Readers
	// JournalLimit is the number of entries from which on orders are refused.
	JournalLimit int64
}

// StageView is one stage of all processes together.
type StageView struct {
	Stage Stage
	Figures
	// Processes is how many running processes run it.
	Processes int
	// Depth is what waits for it, and Oldest the age of the oldest of that; nil if it is not known, or nothing waits.
	Depth  *int64
	Oldest *time.Duration
	// Breaker is the worst state of its breakers: closed, half-open or open; empty if it has none or no process runs it.
	Breaker string
}

// waiting is what waits for a stage.
type waiting struct {
	count int64
	since time.Time
}

// newView combines reports with what waits.
func newView(at time.Time, reports []Report, waits map[Stage]waiting) View {
	v := View{At: at, Processes: reports}
	for _, r := range reports {
		if r.Audit != nil && (v.Audit == nil || r.Audit.At.After(v.Audit.At)) {
			v.Audit = r.Audit
		}
	}
	for _, d := range definitions {
		v.Stages = append(v.Stages, stageView(at, d, reports, waits))
	}
	return v
}

func stageView(at time.Time, d definition, reports []Report, waits map[Stage]waiting) StageView {
	out := StageView{Stage: d.stage}
	for _, r := range reports {
		figures, runs := r.Stages[d.stage]
		if !runs || r.Age > freshFor {
			continue
		}
		out.Processes++
		out.add(figures)
		for _, name := range d.breakers {
			out.Breaker = worse(out.Breaker, r.Breakers[name])
		}
	}
	out.Depth = out.Active
	if w, known := waits[d.stage]; known {
		out.Depth = &w.count
		if !w.since.IsZero() {
			age := max(0, at.Sub(w.since)) // The clock of Redis may be ahead.
			out.Oldest = &age
		}
	}
	return out
}

// breakerStates are the states of a breaker, the best first.
var breakerStates = []string{"", "closed", "half-open", "open"}

func worse(a, b string) string {
	return breakerStates[max(slices.Index(breakerStates, a), slices.Index(breakerStates, b), 0)]
}

// inSQL is what waits in SQL for each stage.
func inSQL(b store.Backlog) map[Stage]waiting {
	out := make(map[Stage]waiting)
	for stage, w := range map[Stage]store.Waiting{
		Ship: b.Paid, Mail: b.Mails, Reconcile: b.Pending, Cancel: b.Cancellations, Refund: b.Refunds, Rescue: b.ShipFailed, DeadLetter: b.DeadLetters,
	} {
		out[stage] = waiting{count: w.Count, since: w.Since}
	}
	return out
}
