package store

import "testing"

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
