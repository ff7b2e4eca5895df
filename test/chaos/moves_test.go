package chaos

import (
	"slices"
	"time"
)

// The moves on parts, by the names that SPILLWAY_CHAOS_MOVES takes; scenarios have more. The last two are defects that last for a whole round.
const (
	moveKill     = "kill"
	moveFreeze   = "freeze"
	moveRestart  = "restart"
	moveRollback = "rollback"
	moveReplica  = "replica"
	defectDrop   = "drop"
	defectFlap   = "flap"
)

var partMoves = []string{moveKill, moveFreeze, moveRestart, moveRollback, moveReplica, defectDrop, defectFlap}

// move is one kind of trouble.
type move struct {
	kind string // what SPILLWAY_CHAOS_MOVES takes
	name string // what was done, for the log
	// do makes the trouble while buyers buy, and returns when it is over and all parts are up again. It runs on the test's own goroutine.
	do func(r *round)
	// env is added to the environment of the processes of a round that has the move; may be nil.
	env func(r *round) []string
	// allows reports whether the violation is a known consequence of the move, which docs/design/chaos.md describes; may be nil.
	allows func(r *round, v violation) bool
}

const (
	// breathMax bounds the random moment between two troubles.
	breathMax = 2 * time.Second
	// awayMax bounds how long a killed part is away before it is started again.
	awayMax = 4 * time.Second
	// shortHaste divides both in a short round.
	shortHaste = 4
	// olderBy is how much older the data is with which Redis comes back, and olderMore bounds what is added by chance.
	olderBy   = time.Second
	olderMore = 500 * time.Millisecond
	// dropNth: every fifth message of a group is lost for good.
	dropNth = "5"
	// defectTime is how long orders are taken with a defect, beside what the moves take.
	defectTime = 20 * time.Second
	// flapInterval is how long the payment provider is up, and down.
	flapInterval = 5 * time.Second
)

func (r *round) atMost(d time.Duration) time.Duration {
	if r.short {
		return d / shortHaste
	}
	return d
}

// moveOf is the move on the part; false if it is not one for this part.
func (r *round) moveOf(part, kind string) (move, bool) {
	p := r.all[part]
	alone := part == partRedis && r.redisKind == redisAlone
	// A Redis that another one replaces loses what that has not received, whatever was done to it.
	losing := part == partRedis && (kind == moveKill || !alone)
	do := func(do func(r *round)) func(r *round) {
		if losing {
			return func(r *round) { r.market.whileLosing(func() { do(r) }) }
		}
		return do
	}
	switch kind {
	case moveKill:
		return move{kind: kind, name: "killed", do: do(func(r *round) { r.kill(p) })}, true
	case moveFreeze:
		return move{kind: kind, name: "frozen", do: do(func(r *round) {
			p.Pause()
			r.pause(r.freeze)
			p.Resume()
		})}, true
	case moveRestart:
		return move{kind: kind, name: "restarted", do: do(func(*round) {
			p.Stop()
			p.Restart()
		})}, true
	case moveRollback:
		return move{kind: kind, name: "restarted from an older copy", do: (*round).rollBack}, alone
	case moveReplica:
		return move{kind: kind, name: "made a replica of an older Redis and promoted again", do: (*round).promoteAgain}, alone
	}
	return move{}, false
}

func (r *round) kill(p part) {
	p.Kill9()
	r.pause(upTo(r.rng, r.atMost(awayMax)))
	p.Restart()
}

// rollBack restarts Redis from a copy of its append-only files, as after a restore or on a disk that lost its last second.
func (r *round) rollBack() {
	r.market.whileLosing(func() {
		r.old.Copy()
		r.pause(olderBy + upTo(r.rng, olderMore))
		r.old.RestartFromCopy()
	})
}

// promoteAgain gives Redis the data of a replica that was cut off a second ago, as a failover there and back does. Its process, its run_id
// and its connections stay.
func (r *round) promoteAgain() {
	r.standby.Follow(r.old)
	r.market.whileLosing(func() {
		r.standby.Promote()
		r.pause(olderBy + upTo(r.rng, olderMore))
		r.old.Follow(r.standby)
		r.old.Promote()
	})
}

// movesOf are what happens to the part, or in the scenario, in this round: those that were asked for, or its turn.
func (r *round) movesOf(name string) (out []move) {
	if s, ok := scenarioOf(name); ok {
		return r.scenarioMoves(s)
	}
	kinds := r.only
	if len(kinds) == 0 {
		kinds = r.turn(name)
	}
	for _, kind := range kinds {
		if m, ok := r.moveOf(name, kind); ok {
			out = append(out, m)
		}
	}
	return out
}

// turn is one kind a round, so that what a part leaves behind is seen before it is in trouble again; the kinds take turns, and the parts
// begin with different ones. Redis comes back older besides, in one of the two ways. A short round has a kill and one more, and no time
// for a broker's graceful end, which takes 20 s.
func (r *round) turn(part string) []string {
	switch {
	case !r.short && part == partRedis:
		return []string{r.one(moveKill, moveFreeze, moveRestart), r.one(moveRollback, moveReplica)}
	case !r.short:
		kinds := []string{moveKill, moveFreeze, moveRestart}
		return []string{kinds[(r.turnOf(len(kinds))+slices.Index(r.parts, part))%len(kinds)]}
	case r.number%2 == 1:
		return []string{moveKill, moveFreeze}
	case part == partBroker, part == partProxy:
		return []string{moveKill}
	}
	return []string{moveKill, moveRestart}
}

// one is the kind whose turn it is.
func (r *round) one(kinds ...string) string { return kinds[r.turnOf(len(kinds))] }

// defects are the environment of the round's processes: a queue that loses messages of one group, a payment provider that flaps, both, or
// none.
func (r *round) defects() (env []string) {
	kinds := r.only
	if len(kinds) == 0 && !r.short {
		kinds = map[string][]string{"drop": {defectDrop}, "flap": {defectFlap}, "both": {defectDrop, defectFlap}}[r.one("none", "drop", "flap", "both")]
	}
	if slices.Contains(kinds, defectDrop) {
		env = append(env, "SPILLWAY_SIMULATE_QUEUE_DROP="+r.one("orders", "shipping", "mail")+":"+dropNth)
	}
	if slices.Contains(kinds, defectFlap) {
		env = append(env, "SPILLWAY_SIMULATE_PROVIDER_FLAP="+flapInterval.String())
	}
	return env
}
