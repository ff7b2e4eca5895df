package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// slowCaller takes some time for each call.
type slowCaller struct{ takes time.Duration }

func (c slowCaller) close() {}

func (c slowCaller) call(ctx context.Context) string {
	sleepUntil(ctx, time.Now().Add(c.takes))
	return ""
}

func TestOpenLoad_SendsWhatIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := openLoad{perSecond: 200, clients: 20, length: 500 * time.Millisecond}
		o, spans, err := l.run(t.Context(), func(int) caller { return slowCaller{} })
		if err != nil {
			t.Fatal(err)
		}
		// 200 per second for the measured time and the cool-down.
		total := o.accepted + o.errors[codeNotSent]
		if want := int(200 * (l.length + coolDown).Seconds()); total != want || len(spans) != o.measured() {
			t.Errorf("%d calls, want %d; %d spans of %d measured", total, want, len(spans), o.measured())
		}
	})
}

// TestOpenLoad_AllClientsBusy has one client that takes longer than the time between two calls: the waiting counts as latency, and the calls
// that were not sent are counted.
func TestOpenLoad_AllClientsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := openLoad{perSecond: 1000, clients: 1, length: 500 * time.Millisecond}
		o, spans, err := l.run(t.Context(), func(int) caller { return slowCaller{20 * time.Millisecond} })
		if err != nil {
			t.Fatal(err)
		}
		if o.errors[codeNotSent] == 0 {
			t.Errorf("no call is not_sent, of %d", o.accepted)
		}
		last := spans[len(spans)-1]
		if waited := last.end.Sub(last.due); waited < 40*time.Millisecond {
			t.Errorf("the last call waited %s only", waited)
		}
	})
}

func TestOpenLoad_PartOfCapacity(t *testing.T) {
	t.Parallel()
	r := &run{cmd: &runCmd{Seconds: 2}, capacity: map[string]float64{buildCurrent: 400, buildBaseline: 100}}
	if l := r.openLoad(&build{name: buildCurrent}, 150); l.perSecond != 600 || l.length != 2*time.Second {
		t.Errorf("150 %% of 400: %+v", l)
	}
}

func TestOffsets_DurableAfter(t *testing.T) {
	t.Parallel()
	begin := time.UnixMilli(1_000_000)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	// The flusher reached the entries of 10 ms at 30 ms, and those of 50 ms at 60 ms.
	o := offsets{{at(30), at(10).UnixMilli()}, {at(60), at(50).UnixMilli()}}
	got := o.durableAfter([]span{{at(5), at(10)}, {at(2), at(11)}, {at(40), at(80)}})
	if len(got) != 2 || got[0] != 25*time.Millisecond || got[1] != 58*time.Millisecond {
		t.Errorf("durable after %v; want 25 and 58 ms, and nothing for the order after the last reading", got)
	}
}

func TestEntryTime_IDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int64{"1795909772000-12": 1795909772000, "0-0": 0, "": 0, "x-1": 0} {
		if got := entryTime(id); got != want {
			t.Errorf("%q: %d, want %d", id, got, want)
		}
	}
}
