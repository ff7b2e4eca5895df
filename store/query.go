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

// each scans every row of a query. what says in errors what is read.
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

// collect is each for rows that become a list.
func collect[T any](ctx context.Context, q querier, what string, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var out []T
	err := each(ctx, q, what, func(r scanner) error {
		v, err := scan(r)
		out = append(out, v)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// scanValue reads the one column of a row.
func scanValue[T any](r scanner) (v T, err error) {
	err = r.Scan(&v)
	return v, err
}

// tuples is n times a row's placeholders, for VALUES or IN.
func tuples(n int, row string) string { return strings.TrimSuffix(strings.Repeat(row+",", n), ",") }

// marks is n placeholders.
func marks(n int) string { return tuples(n, "?") }

// forUpdate ends a query whose rows are kept from others until the commit. SQLite has one writer, which the transaction is.
func (db *DB) forUpdate() string {
	if db.isMySQL() {
		return " FOR UPDATE"
	}
	return ""
}

// locked keeps the rows that a query reads from others until the commit. SQLite has one writer, which the transaction is.
func locked[Q interface {
	ForUpdate(opts ...entsql.LockOption) Q
}](db *DB, q Q, opts ...entsql.LockOption) Q {
	if db.isMySQL() {
		return q.ForUpdate(opts...)
	}
	return q
}

// onConflictDoNothing leaves rows whose unique key is there. IGNORE would hide a violated CHECK as well.
func onConflictDoNothing(key ...string) []entsql.ConflictOption {
	return []entsql.ConflictOption{
		entsql.ConflictColumns(key...), entsql.ResolveWith(func(u *entsql.UpdateSet) { u.SetIgnore(key[0]) }),
	}
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

// orLeave ends an INSERT that leaves rows whose unique key is there. IGNORE would hide a violated CHECK as well.
func (db *DB) orLeave(table string, key ...string) string {
	if db.isMySQL() {
		return " ON DUPLICATE KEY UPDATE " + key[0] + " = " + table + "." + key[0]
	}
	return " ON CONFLICT (" + strings.Join(key, ", ") + ") DO NOTHING"
}

// querier is ent's client over a database, or in a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// queryRow is for a query of at most one row. Scan returns sql.ErrNoRows when there is none.
func queryRow(ctx context.Context, q querier, query string, args ...any) scanner {
	rows, err := q.QueryContext(ctx, query, args...)
	return rowScanner{rows: rows, err: err}
}

// rowScanner scans the first of the rows, as sql.Row does.
type rowScanner struct {
	rows *sql.Rows
	err  error
}

// Scan reads the row and closes the rows.
func (r rowScanner) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}
