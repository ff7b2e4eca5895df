package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/order"
)

// scanner is a row, or the present one of rows.
type scanner interface{ Scan(dest ...any) error }

// fetch is DB.call for a call that brings something.
func fetch[T any](ctx context.Context, db *DB, read func(ctx context.Context) (T, error)) (out T, err error) {
	err = db.call(ctx, func(ctx context.Context) (err error) {
		out, err = read(ctx)
		return err
	})
	return out, err
}

// each scans every row of a query. what names in errors what is read.
func each(ctx context.Context, q querier, what string, scan func(scanner) error, query string, args ...any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read %s: %w", what, err)
		}
	}()
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// tuples is n times a row's placeholders, for VALUES or IN.
func tuples(n int, row string) string { return strings.TrimSuffix(strings.Repeat(row+",", n), ",") }

// placeholders is n placeholders.
func placeholders(n int) string { return tuples(n, "?") }

// locked keeps the rows that a query reads from others until the commit. SQLite has one writer, which the transaction is.
func locked[Q interface {
	ForUpdate(opts ...entsql.LockOption) Q
}](db *DB, q Q, opts ...entsql.LockOption) Q {
	if db.isMySQL() {
		return q.ForUpdate(opts...)
	}
	return q
}

// onConflictDoNothing leaves rows with a unique key that exists. IGNORE would hide a violated CHECK as well.
func onConflictDoNothing(key ...string) []entsql.ConflictOption {
	return []entsql.ConflictOption{
		entsql.ConflictColumns(key...), entsql.ResolveWith(func(u *entsql.UpdateSet) { u.SetIgnore(key[0]) }),
	}
}

// onConflictDoNothingSQL is onConflictDoNothing as the end of an INSERT into the table.
func (db *DB) onConflictDoNothingSQL(table string, key ...string) string {
	if db.isMySQL() {
		return " ON DUPLICATE KEY UPDATE " + key[0] + " = " + table + "." + key[0]
	}
	return " ON CONFLICT (" + strings.Join(key, ", ") + ") DO NOTHING"
}

// expectOneRow checks that an update matched exactly one row.
func expectOneRow(otherwise error) func(n int, err error) error {
	return func(n int, err error) error {
		if err == nil && n != 1 {
			return otherwise
		}
		return err
	}
}

// money is an amount in minor units as it is kept.
func money(amount int64, currency string) order.Money {
	return order.Money{Currency: order.Currency(currency), Amount: order.Cents(amount)}
}

// convert makes a list of another type.
func convert[From, To any](in []From, f func(From) To) []To {
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// named are the names of texts.
func named[T ~string](in []string) []T {
	return convert(in, func(s string) T { return T(s) })
}

// texts are the texts of names.
func texts[T ~string](in []T) []string {
	return convert(in, func(v T) string { return string(v) })
}

// querier is ent's client over a database, or in a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}
