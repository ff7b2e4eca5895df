package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/pause"
)

const (
	// connectTries and connectPause bound how long a caller waits for a connection that the server has no room for: 0.5 to 1 s, which is no longer than any
	// call may take.
	connectTries = 40
	connectPause = 25 * time.Millisecond
	// yieldInterval is the shortest time between two times that connections are given up: a failing server must not be busy with new ones.
	yieldInterval = 100 * time.Millisecond
	// yieldTime is how long a pool then makes do with half of its connections, so that others get those that it gave up.
	yieldTime = time.Second
)

var (
	// mysqlFull are the errors of a server that has no room for another connection, in all or for the user (two).
	mysqlFull = []uint16{1040, 1203, 1226}
	// mysqlReadOnly are those of a server that became read-only: by an option, for the transaction, or in all.
	mysqlReadOnly = []uint16{1290, 1792, 1836}
)

// conns are the connections of a process, of all pools.
type conns struct {
	mu      sync.Mutex
	pools   map[*sql.DB]int // with how many connections each may have, all of which may be idle
	yielded time.Time
	restore *time.Timer // nil while each pool may have all of its connections

	// waiting counts the callers that wait for a connection that the server has no room for.
	waiting atomic.Int64
}

// limit sets how many connections the pool may have.
func (c *conns) limit(pool *sql.DB, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pools[pool] = n
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
}

// dropIdle closes the idle connections of all pools, at most once each yieldInterval. The others become idle later.
func (c *conns) dropIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.yielded) < yieldInterval {
		return
	}
	c.yielded = time.Now()
	for pool, n := range c.pools {
		pool.SetMaxIdleConns(0)
		pool.SetMaxIdleConns(n)
	}
}

// yield closes the idle connections of all pools, and others until half are left, at most once each yieldInterval. No pool gets more for yieldTime.
func (c *conns) yield() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.yielded) < yieldInterval {
		return
	}
	c.yielded = time.Now()
	for pool := range c.pools {
		half := max(1, pool.Stats().OpenConnections/2)
		pool.SetMaxIdleConns(0) // One that is idle now closes also if it is the only one.
		pool.SetMaxOpenConns(half)
		pool.SetMaxIdleConns(half)
	}
	if c.restore == nil {
		c.restore = time.AfterFunc(yieldTime, c.grow)
	} else {
		c.restore.Reset(yieldTime)
	}
}

// grow lets each pool have all of its connections again.
func (c *conns) grow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restore = nil
	for pool, n := range c.pools {
		pool.SetMaxOpenConns(n)
		pool.SetMaxIdleConns(n)
	}
}

// afterError drops the idle connections to a server that became read-only: it may be the old primary, and the address leads to the new one by now. They would
// stay for connLife.
func (c *conns) afterError(err error) {
	if c != nil && slices.Contains(mysqlReadOnly, mysqlCode(err)) {
		c.dropIdle()
	}
}

// patientConnector opens connections to a server that may have no room for another one. The pools of the process then give some up, so that one
// does not keep the others from the server, nor one process another, and the caller waits for a while.
type patientConnector struct {
	driver.Connector
	all *conns
}

// Connect fails with the server's error if there is no room until ctx ends, or for connectTries. While another caller of the process waits, it begins later
// than that one's next try.
func (c *patientConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.all.waiting.Load() > 0 {
		if err := pause.For(ctx, connectPause); err != nil {
			return nil, err
		}
	}
	conn, err := c.Connector.Connect(ctx)
	if !slices.Contains(mysqlFull, mysqlCode(err)) {
		return conn, err
	}
	c.all.waiting.Add(1)
	defer c.all.waiting.Add(-1)
	for range connectTries {
		c.all.yield()
		conn, err = c.Connector.Connect(ctx)
		if !slices.Contains(mysqlFull, mysqlCode(err)) || pause.For(ctx, connectPause/2+rand.N(connectPause/2)) != nil { //nolint:gosec // Jitter needs no secrecy.
			return conn, err
		}
	}
	return nil, err
}
