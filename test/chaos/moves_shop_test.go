package chaos

import "sync"

// shopScenarios concern all processes of the shop at once.
func shopScenarios() []scenario {
	return []scenario{{name: "shop", moves: []move{
		{kind: "blackout", name: "killed as a whole", do: (*round).blackout},
	}}}
}

// blackout kills the server and all workers at the same moment, as when the machine that runs them dies.
func (r *round) blackout() {
	var killing sync.WaitGroup
	for _, p := range r.processes() {
		killing.Go(p.Kill9)
	}
	killing.Wait()
	r.pause(upTo(r.rng, r.atMost(awayMax)))
	for _, p := range r.processes() {
		p.Restart()
	}
}
