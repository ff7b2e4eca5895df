package chaos

import (
	"context"
	"time"
)

const (
	// overloadFactor is how many times its capacity the shop is offered.
	overloadFactor = 3
	// burstTime is how long one overload lasts, and measureTime how long the capacity is measured before the first one.
	burstTime   = 5 * time.Second
	measureTime = 3 * time.Second
	// burstPause is the time between two overloads beside other trouble, and burstPauseMore bounds what is added by chance.
	burstPause     = 4 * time.Second
	burstPauseMore = 8 * time.Second
	// crowdMax is after how many acknowledged orders no burst begins any more: all must be drained within drainTime.
	crowdMax = 20_000
)

// overloadScenarios offer more than the shop can do.
func overloadScenarios() []scenario {
	return []scenario{{
		name: "overload", first: true, beside: overloads,
		moves: []move{{kind: "burst", name: "with nothing else", do: (*round).overload}},
	}}
}

// overload is one burst with no other trouble, after the capacity was measured.
func (r *round) overload() {
	r.crowd = newCrowd(r.market)
	peak := r.crowd.atOnce(r.ctx, measureTime)
	r.crowd.capacity = peak.goodput()
	r.logf("the capacity: %s", peak)
	r.logf("%d times of it: %s", overloadFactor, r.crowd.offer(r.ctx, r.crowd.capacity*overloadFactor, burstTime))
}

// overloads are bursts at random moments beside the other trouble of the round, until the context ends.
func overloads(ctx context.Context, r *round) {
	if r.crowd == nil { // The burst was not among the moves that were asked for.
		return
	}
	for wait(ctx, burstPause+upTo(r.crowd.rng, burstPauseMore)) == nil && r.crowd.acknowledged.Load() < crowdMax {
		r.logf("%d times the capacity: %s", overloadFactor, r.crowd.offer(ctx, r.crowd.capacity*overloadFactor, burstTime))
	}
}
