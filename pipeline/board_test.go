package pipeline

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/test/realparts"
)

const testWait = 20 * time.Second

// openBoard makes a board of its own on the shared Redis.
func openBoard(t *testing.T) *Board {
	t.Helper()
	c, err := redisconn.Connect(redisconn.Config{Addr: realparts.Redis(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	instance, err := c.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Allow(instance)
	b := NewBoard("test-"+rand.Text(), c, breaker.NewPolicy("test", breaker.DefaultPolicies()[breaker.Journal]))
	t.Cleanup(func() {
		if err := c.Client().Do(context.Background(), c.Client().B().Del().Key(b.reports, b.seen).Build()).Error(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *Board) mustHave(t *testing.T, ids ...string) []Report {
	t.Helper()
	got, err := b.Reports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, r := range got {
		have = append(have, r.ID)
	}
	if strings.Join(have, " ") != strings.Join(ids, " ") {
		t.Fatalf("the board has %v; want %v", have, ids)
	}
	return got
}

func TestBoard_ShowsEachProcessesNewestReport(t *testing.T) {
	b, start := openBoard(t), time.Now()
	b.mustHave(t)
	two := int64(2)
	want := Report{
		ID: "b", Role: "work", Host: "h", StartedAt: start.UTC(), Breakers: map[string]string{"sql": "open"},
		Stages: map[Stage]Figures{Charge: {Total: 7, PerSecond: 1.5, Active: &two, Outcomes: map[string]float64{"done": 1}}},
	}
	for _, r := range []Report{{ID: "b", StartedAt: start}, {ID: "a", StartedAt: start.Add(-time.Hour)}, want} {
		if err := b.Publish(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	got := b.mustHave(t, "a", "b")[1]
	if got.Age > testWait || got.Role != "work" || got.Breakers["sql"] != "open" || got.Stages[Charge].Total != 7 || *got.Stages[Charge].Active != 2 {
		t.Errorf("got %+v", got)
	}
	if err := b.Withdraw(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	b.mustHave(t, "b")
}

// TestBoard_IsBounded by expiry, by the number of processes, and by the size of a report.
func TestBoard_IsBounded(t *testing.T) {
	b := openBoard(t)
	for i := range maxProcesses {
		if err := b.Publish(t.Context(), Report{ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Publish(t.Context(), Report{ID: "one more"}); err == nil {
		t.Error("it takes one more process")
	}
	if err := b.Publish(t.Context(), Report{ID: "5"}); err != nil {
		t.Errorf("a process that is on it: %v", err)
	}
	if err := b.Publish(t.Context(), Report{ID: "5", Host: strings.Repeat("x", maxReportBytes)}); err == nil {
		t.Error("it takes a report that is too large")
	}
	c := b.conn.Client()
	for _, key := range []string{b.reports, b.seen} {
		if ms, err := c.Do(t.Context(), c.B().Pttl().Key(key).Build()).AsInt64(); err != nil || ms <= 0 || ms > keptFor.Milliseconds() {
			t.Errorf("%s expires in %d ms, %v", key, ms, err)
		}
	}
	// A process that published long ago makes room.
	old := c.B().Zadd().Key(b.seen).ScoreMember().ScoreMember(1, "7").Build()
	if err := c.Do(t.Context(), old).Error(); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), Report{ID: "one more"}); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	if n, err := c.Do(t.Context(), c.B().Hlen().Key(b.reports).Build()).AsInt64(); err != nil || n != maxProcesses {
		t.Errorf("%d reports, %v", n, err)
	}
	if err := c.Do(t.Context(), c.B().Hset().Key(b.reports).FieldValue().FieldValue("8", "{").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Reports(t.Context()); err != nil || len(got) != maxProcesses-1 {
		t.Errorf("with a report that is no JSON: %d, %v", len(got), err)
	}
}

// TestRecorder_PublishesAndWithdraws: a process that ends leaves the board at once.
func TestRecorder_PublishesAndWithdraws(t *testing.T) {
	b, m := openBoard(t), &fakeMetrics{}
	m.set("spillway.worker.handled", 5, 0, "worker", "mailer")
	r := NewRecorder(RecorderConfig{
		Role: "work", Stages: []Stage{Confirm}, Series: m.read, Breakers: func() map[string]string { return nil }, Board: b, Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	for deadline := time.Now().Add(testWait); ; {
		if got, err := b.Reports(t.Context()); err == nil && len(got) == 1 && got[0].Stages[Confirm].Total == 5 && len(got[0].Stages) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was published")
		}
		<-time.After(5 * time.Millisecond)
	}
	stop()
	<-ended
	b.mustHave(t)
}
