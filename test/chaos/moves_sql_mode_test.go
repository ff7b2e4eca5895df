package chaos

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

const (
	// sqlAttempts is the number of failed attempts after which orders are taken in SQL: the fewest that are sensible.
	sqlAttempts = 3
	// sqlShare is the share of the stock, in percent, that is kept for it without durability sql.
	sqlShare = 50
	// redisAwayMin and redisAwayMax bound how long Redis is away: it takes some 15 s until orders are taken in SQL.
	redisAwayMin, redisAwayMax = 20 * time.Second, 40 * time.Second
)

// sqlModeScenarios make Redis unavailable for so long that orders are taken in SQL.
func sqlModeScenarios() []scenario {
	env := func(*round) []string {
		return []string{"SPILLWAY_SQL_MODE_ATTEMPTS=" + strconv.Itoa(sqlAttempts), "SPILLWAY_RESERVE_SHARE=" + strconv.Itoa(sqlShare)}
	}
	return []scenario{{name: "sql-mode", moves: []move{
		{kind: moveKill, name: "was taken while Redis was killed", env: env, do: func(r *round) { r.withoutRedis(r.killsRedis()) }},
		{
			kind: moveFreeze,
			name: "was taken while Redis was frozen",
			env:  env,
			do:   func(r *round) { r.withoutRedis((*realparts.Proc).Pause, (*realparts.Proc).Resume) },
		},
	}}}
}

// killsRedis returns what kills a Redis and restarts it. With Sentinels it freezes instead: if all are killed, the primary that the Sentinels name must be the
// first that comes back, or a replica with older data is promoted.
func (r *round) killsRedis() (leave, back func(*realparts.Proc)) {
	if r.sentinels != nil {
		return (*realparts.Proc).Pause, (*realparts.Proc).Resume
	}
	return (*realparts.Proc).Kill9, (*realparts.Proc).Restart
}

// withoutRedis makes every Redis leave, and come back after orders were taken without it. A client that repeats a request that only Redis has acknowledged
// gets another order meanwhile, and one of the two is refunded.
func (r *round) withoutRedis(leave, back func(*realparts.Proc)) {
	nodes := []*realparts.Proc{r.old.Proc}
	if r.sentinels != nil {
		nodes = r.sentinels.Nodes
	}
	end := time.Now().Add(redisAwayMin + upTo(r.rng, redisAwayMax-redisAwayMin))
	found := r.market.takingInSQL()
	for _, p := range nodes {
		leave(p)
	}
	r.awaitMode("sql")
	leaveAside := r.market.openAside()
	r.market.flow("after orders were taken in SQL")
	r.pause(max(0, time.Until(end)))
	for _, p := range nodes {
		back(p)
	}
	r.awaitMode("redis")
	leaveAside()
	found()
}

// awaitMode waits until the server takes orders in the mode.
func (r *round) awaitMode(mode string) {
	r.t.Helper()
	began := time.Now()
	r.await(flowTimeout, "orders to be taken in "+mode, func() bool {
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.admin+"/readyz", http.NoBody)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var ready struct {
			Mode string `json:"mode"`
		}
		return json.NewDecoder(resp.Body).Decode(&ready) == nil && ready.Mode == mode
	})
	r.logf("orders were taken in %s after %s", mode, time.Since(began).Round(pollEvery))
}
