package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

var (
	// ErrRow means that SQL cannot store a row: no retry helps, but the other rows may be written without it.
	ErrRow = errors.New("SQL cannot take the row")
	// ErrUnknownSKU is an ErrRow: stock of a product that does not exist was to be changed.
	ErrUnknownSKU = fmt.Errorf("unknown SKU: %w", ErrRow)
	// ErrFlushConflict means that the offset in the journal is not the one that the caller read, or that its epoch is closed:
	// nothing was done.
	ErrFlushConflict = errors.New("the journal's offset in SQL has moved")
	// ErrNotMigrated means that the tables are not those of this program.
	ErrNotMigrated = errors.New("the database is not migrated")
)

// The numbers of MySQL's errors: https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html.
const (
	mysqlDuplicate   = 1062
	mysqlLockTimeout = 1205
	mysqlDeadlock    = 1213
	mysqlCheck       = 3819
	mysqlNoTable     = 1146
	mysqlTimedOut    = 3024 // max_execution_time
)

// mysqlRowErrors are what a row's own content causes: null, out of range, too long, wrong value, duplicate, CHECK.
var mysqlRowErrors = []uint16{1048, 1264, 1265, 1292, 1366, 1406, 3140, mysqlDuplicate, mysqlCheck}

// mysqlAway are the errors of a server that ends, fails over, has no room or does not let the shop in, and takes the same statement later.
var mysqlAway = slices.Concat(mysqlFull, mysqlReadOnly, []uint16{
	1037, 1038, 1041, 1135, // Out of memory (three); no thread can be made.
	1021, 1114, // Disk full, table full.
	1004, 1016, 1023, 1024, 1026, 1028, // A file cannot be created, opened, closed, read, written, sorted.
	1030, 1180, 1181, 1878, // Error of the storage engine (28 is no space), in a commit, in a rollback; a temporary file cannot be written.
	1036, 1874, // The table, or InnoDB, is read-only.
	1206, 1637, 1197, // Too many locks, too many transactions, a transaction too large for the cache of the binary log.
	1053, 1317, 3032, 3169, 4031, // Shutdown in progress, statement interrupted, offline, session killed, disconnected for idling.
	1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, // Normal shutdown, shutdown complete, connection aborted; errors of the network.
	1129, 1130, 1044, 1045, 1142, 1143, 1227, 1862, 3118, // The host is blocked, or not allowed; access denied (five); the password expired; the account is locked.
	1049,             // The database is not there (yet): it is being restored.
	1598, 3100, 3101, // The binary log cannot be written; the replication group refused, or rolled back, the transaction.
})

// The codes of SQLite's errors: https://sqlite.org/rescode.html.
const (
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteConstraint = 19
	sqliteTooBig     = 18
	sqliteMismatch   = 20
	sqliteUnique     = 2067
	sqlitePrimaryKey = 1555
	primaryCodeMask  = 0xff
)

func mysqlCode(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// IsRowError reports whether an error is due to the content of a row rather than to the server. The caller then writes row
// by row, so that a bad one costs only itself (I10).
func IsRowError(err error) bool {
	if errors.Is(err, ErrRow) || ent.IsValidationError(err) || slices.Contains(mysqlRowErrors, mysqlCode(err)) {
		return true
	}
	code := sqliteCode(err) & primaryCodeMask
	return code == sqliteConstraint || code == sqliteTooBig || code == sqliteMismatch
}

func isDuplicate(err error) bool {
	code := sqliteCode(err)
	return mysqlCode(err) == mysqlDuplicate || code == sqliteUnique || code == sqlitePrimaryKey
}

// errRaced marks a row that another transaction inserted between our read and our insert: read again.
var errRaced = errors.New("another transaction was faster")

// raced marks duplicates as such a race. One that persists is a row error.
func raced(err error) error {
	if isDuplicate(err) {
		return fmt.Errorf("%w: %w", errRaced, err)
	}
	return err
}

func isRetryable(err error) bool {
	if errors.Is(err, errRaced) {
		return true
	}
	code := sqliteCode(err) & primaryCodeMask
	return mysqlCode(err) == mysqlDeadlock || mysqlCode(err) == mysqlLockTimeout || code == sqliteBusy || code == sqliteLocked
}

// translate marks errors of a server that is away as order.ErrUnavailable and leaves the others as they are.
func translate(err error) error {
	var netErr net.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, sql.ErrConnDone), errors.As(err, &netErr),
		slices.Contains(mysqlAway, mysqlCode(err)):
		return fmt.Errorf("the database does not answer: %w: %w", order.ErrUnavailable, err)
	case errors.Is(err, context.DeadlineExceeded), isRetryable(err) && !isDuplicate(err):
		return fmt.Errorf("the database is too slow: %w: %w", order.ErrUnavailable, err)
	case mysqlCode(err) == mysqlNoTable:
		return fmt.Errorf("%w; run `spillway migrate up`: %w", ErrNotMigrated, err)
	}
	return err
}
