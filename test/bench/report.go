package main

import (
	"encoding/json"
	"io"
	"runtime"
	"slices"
)

// report is the output of a run.
type report struct {
	Cores    int       `json:"cores"`
	Go       string    `json:"go"`
	MySQL    string    `json:"mysql"`
	Clients  int       `json:"clients"`
	Seconds  int       `json:"seconds"`
	Rows     []row     `json:"rows"` // medians of this checkout's build
	Baseline *baseline `json:"baseline,omitempty"`
	Rounds   []result  `json:"rounds,omitempty"` // all measurements, if there are several rounds
	Totals   totals    `json:"books"`
	Notes    []string  `json:"notes,omitempty"`
}

// baseline compares this checkout's build with another one.
type baseline struct {
	Binary string       `json:"binary"`
	Rows   []row        `json:"rows"` // medians
	Ratios []comparison `json:"ratios"`
}

// comparison has the ratios of this checkout's medians to those of the baseline. A ratio without both sides is 0.
type comparison struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"per_second"`
	// CPU has the ratio of each process' CPU time per order. That of the client, which runs the same code for both builds, shows how equal
	// the machine was.
	CPU map[string]float64 `json:"cpu_us_per_order"`
}

func newReport(r *run) *report {
	out := &report{
		Cores: runtime.NumCPU(), Go: runtime.Version(), MySQL: r.mysql, Clients: r.cmd.Clients, Seconds: r.cmd.Seconds,
		Rows: medians(r.results, buildCurrent), Totals: r.totals, Notes: append(slices.Clone(r.stage.notes), r.notes...),
	}
	if r.cmd.rounds() > 1 {
		out.Rounds = r.results
	}
	if r.cmd.Baseline != "" {
		rows := medians(r.results, buildBaseline)
		out.Baseline = &baseline{Binary: r.cmd.Baseline, Rows: rows, Ratios: compareBuilds(out.Rows, rows)}
	}
	return out
}

// medians returns the row of each name with the medians of the build's rounds, and the ratios of each round to its references.
func medians(results []result, build string) []row {
	perRound := map[int][]row{}
	var names []string
	for _, r := range results {
		if r.Build != build && r.Name != rowBare && r.Name != rowSQL {
			continue
		}
		perRound[r.Round] = append(perRound[r.Round], r.row)
		if r.Build == build && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	byName := map[string][]row{}
	for _, rows := range perRound {
		compare(rows)
		for _, r := range rows {
			byName[r.Name] = append(byName[r.Name], r)
		}
	}
	var out []row
	for _, name := range names {
		out = append(out, medianRow(byName[name]))
	}
	return out
}

// compare fills in the ratios to the references.
func compare(rows []row) {
	per, half := make(map[string]float64, len(rows)), 0.0
	for _, r := range rows {
		per[r.Name] = r.PerSecond
		if r.Name == openRow(halfLoad) && r.P99 != nil {
			half = *r.P99
		}
	}
	for i := range rows {
		rows[i].RatioToBare = ratio(rows[i].PerSecond, per[rowBare])
		rows[i].RatioToSQL = ratio(rows[i].PerSecond, per[rowSQL])
		if rows[i].GoodputShare != nil && half > 0 {
			rows[i].P99ToHalf = ptr(ratio(*rows[i].P99, half))
		}
	}
}

// compareBuilds compares the rows that both builds have.
func compareBuilds(current, base []row) []comparison {
	var out []comparison
	for _, c := range current {
		i := slices.IndexFunc(base, func(b row) bool { return b.Name == c.Name })
		if i < 0 {
			continue
		}
		line := comparison{Name: c.Name, PerSecond: ratio(c.PerSecond, base[i].PerSecond), CPU: map[string]float64{}}
		for process, us := range c.CPU {
			if r := ratio(us, base[i].CPU[process]); r > 0 {
				line.CPU[process] = r
			}
		}
		out = append(out, line)
	}
	return out
}

func (r *report) write(out io.Writer, form string) error {
	if form == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.table(out)
}
