package chaos

import (
	"fmt"
	"time"

	"github.com/spillway/spillway/journal"
)

const (
	// mysqlAwayTime is how long MySQL is away, read-only, or has too few connections.
	mysqlAwayTime = 60 * time.Second
	// mysqlConnections are fewer than one process of the shop has in its pools.
	mysqlConnections = 5
	// cancelTime is longer than a client insists on a cancellation.
	cancelTime = cancelPatience + callTimeout
	// mysqlUser may not write to a read-only server, and has no connection in reserve.
	mysqlUser = "shop"
)

// mysqlScenarios are outages of MySQL that are neither a kill nor a freeze.
func mysqlScenarios() []scenario {
	return []scenario{{name: "mysql-outage", moves: []move{
		{kind: "mysql-down", name: "was away", do: func(r *round) {
			r.mysqlOutage(r.mysql.Kill9, r.mysql.Restart)
		}},
		{kind: "mysql-failover", name: "failed over and lost its last second of commits", do: (*round).failMySQLOver},
		{kind: "mysql-readonly", name: "was read-only", do: func(r *round) {
			r.mysqlOutage(func() { r.root("SET GLOBAL super_read_only = ON") }, func() { r.root("SET GLOBAL read_only = OFF") })
		}},
		{kind: "mysql-connections", name: fmt.Sprintf("had %d connections for the shop", mysqlConnections), do: func(r *round) {
			r.mysqlOutage(func() {
				r.root(fmt.Sprintf("ALTER USER %s WITH MAX_USER_CONNECTIONS %d", mysqlUser, mysqlConnections))
				r.dropConnections()
			}, func() { r.root("ALTER USER " + mysqlUser + " WITH MAX_USER_CONNECTIONS 0") })
		}},
	}}}
}

// mysqlOutage is an outage, after which what was accepted meanwhile must be drained. Other parts are in trouble in the same minutes, so that the
// bound is that of each drain; docs/operations.md has how long it takes if nothing else fails.
func (r *round) mysqlOutage(begin, end func()) {
	began := time.Now()
	begin()
	r.pause(r.atMost(mysqlAwayTime))
	end()
	over := time.Now()
	for calm := 0; calm < drainLooks; r.pause(drainPoll) {
		if calm++; !r.drainedTo(over) {
			calm = 0
		}
		if time.Since(over) > drainTime {
			r.t.Errorf("what was accepted while MySQL was in trouble for %s is not drained %s later", over.Sub(began).Round(time.Second), drainTime)
			return
		}
	}
	r.logf("what was accepted while MySQL was in trouble for %s was drained %s later", over.Sub(began).Round(time.Second), time.Since(over).Round(time.Second))
}

// drainedTo reports whether SQL has applied the journal up to the time, and no row of an order that was placed before it is to be paid or shipped.
func (r *round) drainedTo(at time.Time) bool {
	r.t.Helper()
	var open int
	var offset string
	err := r.db.QueryRowContext(r.ctx, "SELECT COUNT(*), (SELECT last_id FROM stock_epochs WHERE closed_at IS NULL) FROM orders WHERE state IN (0, 1) AND created_at < ?", at.UTC()).
		Scan(&open, &offset)
	return err == nil && open == 0 && journal.CompareIDs(offset, fmt.Sprintf("%d-0", at.UnixMilli())) >= 0
}

// failMySQLOver restarts MySQL with the data that it had a second or so ago. Until then no order is cancelled: SQL alone knows of the cancellation
// of a paid one.
func (r *round) failMySQLOver() {
	r.market.keeping.Store(true)
	defer r.market.keeping.Store(false)
	r.pause(cancelTime)
	r.mysqlOutage(func() {
		r.mysql.Copy()
		r.pause(olderBy + upTo(r.rng, olderMore))
		r.mysql.KillForCopy()
	}, r.mysql.Restart)
}

// root runs a statement with all privileges.
func (h *harness) root(statement string) {
	h.t.Helper()
	if _, err := h.db.ExecContext(h.ctx, statement); err != nil {
		h.t.Fatalf("%s: %v", statement, err)
	}
}

// dropConnections ends those that the shop's processes have. MySQL fails to list them (error 3854) while one of them executes a statement with the bytes of
// a fingerprint.
func (h *harness) dropConnections() {
	h.t.Helper()
	var ids []int64
	h.await(readyTimeout, "the list of MySQL's connections", func() bool {
		var err error
		ids, err = h.shopConnections()
		return err == nil
	})
	for _, id := range ids {
		_, _ = h.db.ExecContext(h.ctx, fmt.Sprintf("KILL %d", id)) // It may have ended.
	}
}

func (h *harness) shopConnections() (ids []int64, err error) {
	rows, err := h.db.QueryContext(h.ctx, "SELECT id FROM information_schema.processlist WHERE user = ?", mysqlUser)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
