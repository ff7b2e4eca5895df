package store

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// Breaker guards the calls to SQL: one that is known to be unavailable is not called.
type Breaker interface {
	breaker.Breaker
	// Timeout bounds one call.
	Timeout() time.Duration
}

// Guard puts the breaker before every call that a repository of this database makes. It is called once, before the first of
// them. Migrations and audits are left out: they are an operator's, and may take long.
func (db *DB) Guard(b Breaker) { db.breaker = b }

// call runs f, which makes one repository's call, under the breaker. It must not be nested: the inner call would ask for the
// one trial that the outer one holds.
func (db *DB) call(ctx context.Context, f func(ctx context.Context) error) error {
	if db.patience > 0 {
		// The breaker sees this as a caller that left.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, db.patience)
		defer cancel()
	}
	var answer error
	err := breaker.Do(ctx, db.breaker, db.breaker.Timeout(), func(ctx context.Context) error {
		answer = translate(f(ctx))
		db.all.afterError(answer)
		if isAnswer(answer) {
			return nil
		}
		return answer
	})
	if err != nil {
		return err
	}
	return answer
}

// isAnswer reports whether a call's result shows that SQL worked: a bad row does as well.
func isAnswer(err error) bool {
	return !errors.Is(err, order.ErrUnavailable) && !errors.Is(err, context.Canceled)
}

// unguarded is the breaker of a database without one: that of commands and tests.
type unguarded struct{}

// Permit always permits.
func (unguarded) Permit() error { return nil }

// Report does nothing.
func (unguarded) Report(error) {}

// Timeout is that of a connection's single read.
func (unguarded) Timeout() time.Duration { return mysqlTimeout }
