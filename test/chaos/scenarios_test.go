package chaos

import (
	"context"
	"slices"
)

// scenarioFiles are the scenarios of each file. To add some, write a file moves_NAME_test.go with a function that returns them, add one line here,
// and a row to the table in docs/design/chaos.md.
var scenarioFiles = []func() []scenario{
	overloadScenarios, // First, because it measures the capacity.
	shopScenarios,
	sentinelScenarios,
	brokerScenarios,
	mysqlScenarios,
	outageScenarios,
	sqlModeScenarios,
}

// scenario is trouble with a script of its own, in contrast to the moves that are done to each part. SPILLWAY_CHAOS_PARTS names it beside the parts.
type scenario struct {
	name string
	// moves take turns from round to round, unless SPILLWAY_CHAOS_MOVES names some of them.
	moves []move
	// unable returns why the scenario cannot run on this machine, and nil if it can. It may be nil.
	unable func() error
	// redis is what the shop must have as its Redis.
	redis redisKind
	// first is set for what must come before all other trouble of a round, in the order of scenarioFiles.
	first bool
	// beside runs beside the moves of a round, after those of this scenario, until the context ends; may be nil. It is not on the test's own
	// goroutine, and must not end the test.
	beside func(ctx context.Context, r *round)
}

func allScenarios() (out []scenario) {
	for _, file := range scenarioFiles {
		out = append(out, file()...)
	}
	return out
}

func names(scenarios []scenario) []string {
	out := make([]string, len(scenarios))
	for i, s := range scenarios {
		out[i] = s.name
	}
	return out
}

func scenarioOf(name string) (scenario, bool) {
	for _, s := range allScenarios() {
		if s.name == name {
			return s, true
		}
	}
	return scenario{}, false
}

// scenarioMoves are those that were asked for, or the one whose turn it is; none in a round whose Redis does not suffice.
func (r *round) scenarioMoves(s scenario) (out []move) {
	if s.redis > r.redisKind {
		r.logf("%s has no turn in this round, which has %s", s.name, r.redisKind)
		return nil
	}
	if len(r.only) == 0 {
		return s.moves[r.turnOf(len(s.moves)):][:1]
	}
	for _, m := range s.moves {
		if slices.Contains(r.only, m.kind) {
			out = append(out, m)
		}
	}
	return out
}

// turnOf is which of n kinds has its turn: the next one in each round, and each of them with all durabilities after some rounds.
func (r *round) turnOf(n int) int {
	k := r.number - 1
	if n%len(r.durabilities) == 0 {
		k += k / n
	}
	return k % n
}

// knownMoves are what SPILLWAY_CHAOS_MOVES takes.
func knownMoves() []string {
	out := slices.Clone(partMoves)
	for _, s := range allScenarios() {
		for _, m := range s.moves {
			out = append(out, m.kind)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// chosenScenarios are those that were named, or all that can run here. One that was named and cannot run fails the test.
func (h *harness) chosenScenarios(names []string) (out []string) {
	h.t.Helper()
	for _, s := range allScenarios() {
		named := slices.Contains(names, s.name)
		if !named && len(names) > 0 {
			continue
		}
		if s.unable != nil {
			if err := s.unable(); err != nil && named {
				h.t.Fatalf("SPILLWAY_CHAOS_PARTS: %s cannot run here: %v", s.name, err)
			} else if err != nil {
				h.logf("%s is left out, it cannot run here: %v", s.name, err)
				continue
			}
		}
		out = append(out, s.name)
	}
	return out
}

// moveEnv is what the moves of this round add to the environment of its processes.
func (r *round) moveEnv() (out []string) {
	for _, name := range r.parts {
		for _, m := range r.moves[name] {
			if m.env != nil {
				out = append(out, m.env(r)...)
			}
		}
	}
	return out
}

// allowed reports whether a move of this round is known to cause the violation.
func (r *round) allowed(v violation) bool {
	for _, moves := range r.moves {
		for _, m := range moves {
			if m.allows != nil && m.allows(r, v) {
				return true
			}
		}
	}
	return false
}
