package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/pause"
)

// ErrClaimed means that another process has the claim.
var ErrClaimed = errors.New("another process has the claim")

const (
	// claimWait is how long a claim waits for one that is just being let go: MySQL notices within moments that a process was killed.
	claimWait = 3 * time.Second
	// claimIdle is after how long MySQL releases the claim of a process on a machine that vanished, so that its TCP connection was never closed.
	claimIdle = 90 * time.Second
	// claimEvery keeps a claim from looking idle.
	claimEvery = claimIdle / 3
)

// claimName is a name for the database among all locks of its server, which has at most 64 characters.
const claimName = "CONCAT('spillway-redis-', LEFT(SHA2(DATABASE(), 256), 32))"

// RedisClaim is the claim that this process alone has a Redis of its own for the database: two would take each other's for one that was lost. It
// is a lock of MySQL's, so it goes with the process. SQLite needs none: its file is on one machine, where a locked file does the same.
type RedisClaim struct {
	db   *DB
	conn *sql.Conn
}

// ClaimRedis takes the claim, or fails with ErrClaimed. Keep must run for as long as it is needed.
func (db *DB) ClaimRedis(ctx context.Context) (*RedisClaim, error) {
	c := &RedisClaim{db: db}
	if db.isMySQL() {
		if err := c.take(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// take requests the lock on the connection that has it, which gets it again, or on a new one.
func (c *RedisClaim) take(ctx context.Context) (err error) {
	if c.conn != nil {
		if err = ask(ctx, c.conn); err == nil {
			return nil
		}
		c.drop()
	}
	if c.conn, err = c.db.sql.Conn(ctx); err != nil {
		return fmt.Errorf("claim the database: %w", err)
	}
	if err = ask(ctx, c.conn); err != nil {
		c.drop()
	}
	return err
}

func ask(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "SET SESSION wait_timeout = ?", int64(claimIdle.Seconds())); err != nil {
		return fmt.Errorf("claim the database: %w", err)
	}
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+claimName+", ?)", int64(claimWait.Seconds())).Scan(&got); err != nil {
		return fmt.Errorf("claim the database: %w", err)
	}
	if got.Int64 != 1 {
		return ErrClaimed
	}
	return nil
}

// drop closes the connection, and with it the lock; back in the pool it would keep both.
func (c *RedisClaim) drop() {
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn }) // That is what it returns.
	_ = c.conn.Close()                                           // It is closed.
	c.conn = nil
}

// Keep renews the claim until ctx ends, and then lets it go. A MySQL that was away has forgotten it; if another process was faster then,
// that is logged.
func (c *RedisClaim) Keep(ctx context.Context, log *slog.Logger) {
	if !c.db.isMySQL() {
		return
	}
	pause.Every(ctx, claimEvery, func(ctx context.Context) {
		if err := c.take(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "the claim to be the only shop with an embedded Redis on this database was not renewed", "error", err)
		}
	})
	if c.conn != nil {
		c.drop()
	}
}
