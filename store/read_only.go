package store

import (
	"context"
	"strings"
)

// readOnlyPragmas do not change the file, not even its journal mode.
const readOnlyPragmas = "mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)&_time_format=sqlite&_timezone=UTC"

// OpenReadOnly is Open for a caller that only reads: the database itself refuses every change. A SQLite file must exist.
func OpenReadOnly(ctx context.Context, dsn string) (*DB, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return openSQLiteWith(path, readOnlyPragmas).pinged(ctx)
	}
	db, err := openMySQL(strings.TrimPrefix(dsn, "mysql:"), map[string]string{"transaction_read_only": "1"})
	if err != nil {
		return nil, err
	}
	return db.pinged(ctx)
}
