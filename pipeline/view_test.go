package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
)

func reportOf(id string, age time.Duration, stages map[Stage]Figures, breakers map[string]string) Report {
	return Report{ID: id, Stages: stages, Breakers: breakers, Age: age}
}

func stageOf(t *testing.T, v View, s Stage) StageView {
	t.Helper()
	for _, got := range v.Stages {
		if got.Stage == s {
			return got
		}
	}
	t.Fatalf("the view has no %s", s)
	return StageView{}
}

func TestView_AddsTheProcesses(t *testing.T) {
	three, four := int64(3), int64(4)
	at := time.Now()
	v := newView(at, []Report{
		reportOf(
			"a",
			0,
			map[Stage]Figures{Charge: {PerSecond: 10, Total: 100, Active: &three, Outcomes: map[string]float64{"done": 10}}},
			map[string]string{"charge": "closed"},
		),
		reportOf("b", time.Second, map[Stage]Figures{Charge: {PerSecond: 5, Total: 50, Active: &four, Outcomes: map[string]float64{"done": 5, "failed": 1}}},
			map[string]string{"charge": "half-open"}),
		reportOf("ended", freshFor+time.Second, map[Stage]Figures{Charge: {PerSecond: 1000}}, map[string]string{"charge": "open"}),
		reportOf("worker", 0, map[Stage]Figures{Flush: {}}, map[string]string{"charge": "open"}),
	}, map[Stage]waiting{Flush: {count: 12, since: at.Add(-3 * time.Second)}, Relay: {}})
	charge := stageOf(t, v, Charge)
	if charge.Processes != 2 || charge.PerSecond != 15 || charge.Total != 150 || *charge.Depth != 7 || charge.Outcomes["done"] != 15 ||
		charge.Breaker != "half-open" {
		t.Errorf("charge: %+v", charge)
	}
	if three != 3 || four != 4 {
		t.Error("adding changed a report")
	}
	if flush := stageOf(t, v, Flush); flush.Processes != 1 || *flush.Depth != 12 || *flush.Oldest != 3*time.Second {
		t.Errorf("flush: %+v", flush)
	}
	if relay := stageOf(t, v, Relay); relay.Processes != 0 || *relay.Depth != 0 || relay.Oldest != nil || relay.Breaker != "" {
		t.Errorf("relay: %+v", relay)
	}
	if write := stageOf(t, v, Write); write.Depth != nil {
		t.Errorf("write: %+v", write)
	}
	if len(v.Processes) != 4 {
		t.Errorf("%d processes", len(v.Processes))
	}
}

func TestView_NewestAudit(t *testing.T) {
	old, recent := &Audit{At: time.Now().Add(-time.Hour), Violations: 5}, &Audit{At: time.Now()}
	if v := newView(time.Now(), []Report{{Audit: old}, {}, {Audit: recent}, {Audit: old}}, nil); v.Audit != recent {
		t.Errorf("got %+v", v.Audit)
	}
}

var errDown = errors.New("down")

// testSources are those of a shop with work in each stage.
func testSources() Sources {
	waits := store.Waiting{Count: 2, Since: time.Now().Add(-time.Minute)}
	return Sources{
		Report: func() Report { return Report{ID: "self", Stages: map[Stage]Figures{Accept: {PerSecond: 2}}} },
		Reports: func(context.Context) ([]Report, error) {
			return []Report{{ID: "other"}, {ID: "self", Age: time.Hour}}, nil
		},
		Epoch: func() (journal.Epoch, error) { return journal.Epoch{Number: 3}, nil },
		OpenEpoch: func(context.Context, uint8) (journal.Epoch, error) {
			return journal.Epoch{Number: 3, LastID: "5-0"}, nil
		},
		Readers: func(_ context.Context, flushed journal.Offset) (r journal.Readers, err error) {
			if r.Relay.Entries = 9; flushed.Epoch == 3 {
				r.Flusher.Entries = 4
			}
			return r, nil
		},
		Backlog: func(context.Context) (store.Backlog, error) {
			return store.Backlog{Pending: waits, Paid: waits, ShipFailed: waits, Cancellations: waits, Refunds: waits, Mails: waits, DeadLetters: waits}, nil
		},
		DeadLetters: func(context.Context) (map[string]int64, error) { return map[string]int64{"mailer": 2}, nil },
		Log:         discardLog,
	}
}

func TestViewer_AllSources(t *testing.T) {
	v := NewViewer(testSources()).View(t.Context())
	for stage, want := range map[Stage]int64{Flush: 4, Relay: 9, Ship: 2, Mail: 2, Reconcile: 2, Cancel: 2, Refund: 2, Rescue: 2, DeadLetter: 2} {
		if got := stageOf(t, v, stage); got.Depth == nil || *got.Depth != want {
			t.Errorf("%s: %+v; want depth %d", stage, got, want)
		}
	}
	if len(v.Unavailable) > 0 || v.Partition.Epoch.Number != 3 || v.Partition.Readers == nil || v.DeadLetters["mailer"] != 2 || v.Self != "self" {
		t.Errorf("got %+v", v)
	}
	// This process's own report is newer than the published one.
	if len(v.Processes) != 2 || v.Processes[1].Age != 0 || stageOf(t, v, Accept).PerSecond != 2 {
		t.Errorf("processes %+v", v.Processes)
	}
}

func TestViewer_WithoutSQL(t *testing.T) {
	src := testSources()
	src.OpenEpoch = func(context.Context, uint8) (journal.Epoch, error) { return journal.Epoch{}, errDown }
	v := NewViewer(src).View(t.Context())
	if len(v.Unavailable) != 1 || v.Unavailable[0] != "sql" || v.DeadLetters != nil {
		t.Errorf("got %+v", v)
	}
	if flush, relay, ship := stageOf(t, v, Flush), stageOf(t, v, Relay), stageOf(t, v, Ship); flush.Depth != nil || ship.Depth != nil || *relay.Depth != 9 {
		t.Errorf("flush %+v, relay %+v, ship %+v", flush, relay, ship)
	}
}

// TestViewer_WithoutRedis still shows this process, and what SQL has.
func TestViewer_WithoutRedis(t *testing.T) {
	src := testSources()
	src.Readers = func(context.Context, journal.Offset) (journal.Readers, error) { return journal.Readers{}, errDown }
	src.Epoch = func() (journal.Epoch, error) { return journal.Epoch{}, errDown }
	v := NewViewer(src).View(t.Context())
	if len(v.Unavailable) != 1 || v.Unavailable[0] != "redis" || v.Partition.Readers != nil || v.Partition.ClosedReason != "down" ||
		v.Partition.Epoch.Number != 0 {
		t.Errorf("got %+v", v)
	}
	if len(v.Processes) != 1 || stageOf(t, v, Accept).PerSecond != 2 || *stageOf(t, v, Ship).Depth != 2 || stageOf(t, v, Relay).Depth != nil {
		t.Errorf("got %+v", v.Stages)
	}
}

// TestViewer_DependencyThatHangs does not delay a view for longer than the two bounds.
func TestViewer_DependencyThatHangs(t *testing.T) {
	src := testSources()
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	src.OpenEpoch = func(ctx context.Context, _ uint8) (journal.Epoch, error) { return journal.Epoch{}, hang(ctx) }
	src.Readers = func(ctx context.Context, _ journal.Offset) (journal.Readers, error) {
		return journal.Readers{}, hang(ctx)
	}
	if v := NewViewer(src).View(t.Context()); len(v.Unavailable) != 2 {
		t.Errorf("got %+v", v)
	}
}
