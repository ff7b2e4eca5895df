package store

import (
	"context"
	"testing"
)

// OpenUnchecked opens a database without looking whether it answers.
var OpenUnchecked = open

// RawSQL lets a test do what only another part of the shop, or time, would.
func (db *DB) RawSQL(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	r, err := db.sql.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Exec runs a statement behind the repositories' back.
func Exec(ctx context.Context, db *DB, query string, args ...any) error {
	_, err := db.sql.ExecContext(ctx, query, args...)
	return err
}

// Count reads one number behind the repositories' back.
func Count(ctx context.Context, db *DB, query string, args ...any) (n int64, err error) {
	err = db.sql.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// Translate says what an error of the driver means to callers.
var Translate = translate
