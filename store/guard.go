package store

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/order"
)

// Breaker guards the calls to SQL: one that is known not to answer is not asked.
type Breaker interface {
	// Permit fails at once, with an order.RetryError, while SQL is known not to answer.
	Permit() error
	// Report tells how the permitted call went.
	Report(err error)
	// Timeout bounds one call.
	Timeout() time.Duration
}

// Guard puts the breaker before every call that a repository of this database makes. It is called once, before the first of
// them. Migrations and audits are left out: they are an operator's, and may take long.
func (db *DB) Guard(b Breaker) { db.breaker = b }

// call runs f, which makes one repository's call, under the breaker. It must not be nested: the inner call would ask for the
// one trial that the outer one holds.
func (db *DB) call(ctx context.Context, f func(ctx context.Context) error) error {
	if err := db.breaker.Permit(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, db.breaker.Timeout())
	defer cancel()
	verdict := errAborted // Also of a call that panics: the breaker must get its permit back.
	defer func() { db.breaker.Report(verdict) }()
	err := translate(f(bounded))
	verdict = failure(ctx, err)
	return err
}

// errAborted is what the breaker hears of a call that did not return.
var errAborted = errors.New("the call to SQL did not return")

// failure is the part of an error that says that SQL did not work. What it answered is none, a bad row included; and neither is
// a caller who left.
func failure(ctx context.Context, err error) error {
	switch {
	case !errors.Is(err, order.ErrUnavailable):
		return nil
	case ctx.Err() != nil:
		return context.Canceled
	}
	return err
}

// unguarded is the breaker of a database that nobody guards: commands and tests.
type unguarded struct{}

// Permit always permits.
func (unguarded) Permit() error { return nil }

// Report tells nobody.
func (unguarded) Report(error) {}

// Timeout is that of a connection's single read.
func (unguarded) Timeout() time.Duration { return mysqlTimeout }
