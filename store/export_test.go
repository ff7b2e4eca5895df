package store

import "context"

// OpenUnchecked opens a database without looking whether it answers.
var OpenUnchecked = open

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
