package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// names lists the first row of each scenario.
func names(s []scenario) (out []string) {
	for _, one := range s {
		out = append(out, one.rows[0])
	}
	return out
}

func TestChoose_Rows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rows, want []string }{
		{nil, names(scenarios())},
		{[]string{rowBare}, []string{rowBare, rowSQL}},
		{[]string{rowBacklog}, []string{rowBare, rowSQL, rowBurst}},
		{[]string{rowDurable}, []string{rowBare, rowSQL, rowDraining, rowDurable}},
		{[]string{openRow(150), rowMany}, []string{rowBare, rowSQL, rowDraining, rowHot, openRow(150)}},
	} {
		if got := names(choose(c.rows)); !slices.Equal(got, c.want) {
			t.Errorf("rows %v: scenarios %v, want %v", c.rows, got, c.want)
		}
	}
}

func TestRowNames_Unique(t *testing.T) {
	t.Parallel()
	all := rowNames()
	if sorted := slices.Compact(slices.Sorted(slices.Values(all))); len(sorted) != len(all) {
		t.Errorf("a name is used twice: %v", all)
	}
}

func TestRun_BaselineAlternates(t *testing.T) {
	t.Parallel()
	var got []string
	record := func(name string) func(context.Context, *run, *build) ([]row, error) {
		return func(_ context.Context, _ *run, b *build) ([]row, error) {
			got = append(got, name+" "+b.name)
			return []row{{Name: name}}, nil
		}
	}
	r := &run{cmd: &runCmd{Rounds: 2}, stage: &stage{builds: []*build{{name: "A"}, {name: "B"}}}, capacity: map[string]float64{}}
	err := r.measure(t.Context(), []scenario{
		{rows: []string{rowBare}, run: record(rowBare), reference: true}, {rows: []string{rowBurst}, run: record(rowBurst)},
	})
	want := []string{"bare A", "accept_burst A", "accept_burst B", "bare A", "accept_burst A", "accept_burst B"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("measured %v (%v), want %v", got, err, want)
	}
	if len(r.results) != len(want) || r.results[5].Round != 2 || r.results[5].Build != "B" {
		t.Errorf("results: %+v", r.results)
	}
}

func TestRunCmd_Validate(t *testing.T) {
	t.Parallel()
	good := runCmd{Seconds: 5, Clients: 64, SKUs: 1, DrainWait: time.Minute, Rows: []string{rowBurst}}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
	for i, change := range []func(*runCmd){
		func(c *runCmd) { c.Seconds = 0 }, func(c *runCmd) { c.Clients = maxClients + 1 }, func(c *runCmd) { c.SKUs = 0 },
		func(c *runCmd) { c.DrainWait = 0 }, func(c *runCmd) { c.Rows = []string{"no_row"} }, func(c *runCmd) { c.Rounds = -1 },
	} {
		bad := good
		change(&bad)
		if bad.validate() == nil {
			t.Errorf("change %d is accepted", i)
		}
	}
	if (&runCmd{}).rounds() != 1 || (&runCmd{Baseline: "b"}).rounds() != 3 || (&runCmd{Baseline: "b", Rounds: 5}).rounds() != 5 {
		t.Error("wrong number of rounds")
	}
}

func TestBuild_ArgsOfKnownFlags(t *testing.T) {
	t.Parallel()
	help := "Flags:\n  -h, --help    Help; see --not-a-flag.\n      --redis=HOST:PORT   A Redis.\n  --smtp-plain            Send\n      --[no-]drain-yields  Let\n  -o, --output=\"table\"\n"
	b := &build{flags: map[string]map[string]bool{roleWork: listedFlags(help)}}
	got := b.args(roleWork, "redis=a:1", "rocketmq=b:2", "smtp-plain", "drain-yields", "mail-yield=0s", "output=json", "not-a-flag=1")
	if want := []string{roleWork, "--redis=a:1", "--smtp-plain", "--drain-yields", "--output=json"}; !slices.Equal(got, want) {
		t.Errorf("args %v, want %v", got, want)
	}
}

func TestUntilDone_Bounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		done, all int
		since     time.Duration
		want      time.Duration
	}{
		{0, 100, time.Second, maxPoll},
		{1, 100, time.Second, maxPoll},
		{80, 100, 2 * time.Second, 500 * time.Millisecond},
		{99, 100, time.Second, minPoll},
	} {
		if got := untilDone(c.done, c.all, c.since); got != c.want {
			t.Errorf("%d of %d since %s: %s, want %s", c.done, c.all, c.since, got, c.want)
		}
	}
}

func TestSQLStatus_PerOrder(t *testing.T) {
	t.Parallel()
	statements, fsyncs := sqlStatus{statements: 300, fsyncs: 30}.perOrder(sqlStatus{statements: 100, fsyncs: 10}, 1000)
	if got := fmt.Sprintf("%.2f %.2f", statements, fsyncs); got != "0.20 0.02" {
		t.Errorf("per order: %s", got)
	}
}
