package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// run is one run of the benchmark.
type run struct {
	cmd     *runCmd
	stage   *stage
	results []result
	totals  totals
	notes   []string
	mysql   string // version and durability
	// capacity is the number of orders per second that each build accepts while it drains.
	capacity map[string]float64
}

// result is one row of one build in one round.
type result struct {
	Round int    `json:"round"`
	Build string `json:"build"`
	row
}

// load is the closed loop of most rows.
func (r *run) load() load {
	return load{clients: r.cmd.Clients, warmUp: warmUp, length: time.Duration(r.cmd.Seconds) * time.Second}
}

// note adds a remark, if it is not empty.
func (r *run) note(text string) {
	if text = strings.TrimSpace(text); text != "" {
		r.notes = append(r.notes, text)
	}
}

// measure runs the scenarios. In each round the builds take turns within each scenario, so that both meet the same state of the machine.
func (r *run) measure(ctx context.Context, chosen []scenario) error {
	for round := 1; round <= r.cmd.rounds(); round++ {
		for _, s := range chosen {
			for _, b := range s.builds(r.stage.builds) {
				progress("round %d: %s (%s) ...", round, strings.Join(s.rows, ", "), b.name)
				rows, err := s.run(ctx, r, b)
				if err != nil {
					return fmt.Errorf("%s of the %s build: %w", strings.Join(s.rows, ", "), b.name, err)
				}
				r.add(round, b, rows)
			}
		}
	}
	return nil
}

// add keeps the chosen rows and the references. A row that others only need is left out.
func (r *run) add(round int, b *build, rows []row) {
	for _, row := range rows {
		if len(r.cmd.Rows) == 0 || slices.Contains(append(r.cmd.Rows, rowBare, rowSQL), row.Name) {
			r.results = append(r.results, result{Round: round, Build: b.name, row: row})
		}
		if row.Name == rowDraining {
			r.capacity[b.name] = row.PerSecond
		}
	}
}

// scenario measures one or more rows together, on fresh data.
type scenario struct {
	rows []string
	run  func(ctx context.Context, r *run, b *build) ([]row, error)
	// reference is a measurement without spillway, which others are compared with.
	reference bool
	// needsCapacity means that the load is a part of the rate of accept_draining.
	needsCapacity bool
}

// builds returns the builds that the scenario measures: all, or the first for a reference.
func (s scenario) builds(all []*build) []*build {
	if s.reference {
		return all[:1]
	}
	return all
}

// choose returns the scenarios of the rows, with those that they need.
func choose(rows []string) []scenario {
	wanted := func(s scenario) bool {
		return len(rows) == 0 || slices.ContainsFunc(s.rows, func(name string) bool { return slices.Contains(rows, name) })
	}
	capacity := slices.ContainsFunc(scenarios(), func(s scenario) bool { return s.needsCapacity && wanted(s) })
	return slices.DeleteFunc(scenarios(), func(s scenario) bool {
		needed := s.reference || (capacity && slices.Contains(s.rows, rowDraining))
		return !needed && !wanted(s)
	})
}

// rowNames lists the rows in the order of the table.
func rowNames() []string {
	var out []string
	for _, s := range scenarios() {
		out = append(out, s.rows...)
	}
	return out
}
