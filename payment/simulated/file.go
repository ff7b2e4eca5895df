package simulated

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // The driver "sqlite".

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// fileOutcomes implements outcomes in an SQLite file, which several processes may share.
type fileOutcomes struct{ db *sql.DB }

// filePragmas are the options of the SQLite driver. Several processes write to the file. With synchronous off, a charge costs no fsync: outcomes
// survive a crash of the process but not a power cut.
const filePragmas = "?_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_txlock=immediate"

// fileRefunds creates the table of refunds. In a file of an older version earlier refunds are not in the table: outcomes.refunded then stands
// for a refund of the whole charge.
const fileRefunds = "CREATE TABLE IF NOT EXISTS refunds (refund_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, amount INTEGER NOT NULL) WITHOUT ROWID; " +
	"CREATE INDEX IF NOT EXISTS refunds_of_order ON refunds (order_id)"

// fileReturned is the SQL expression of the refunded amount of an outcome, in minor units.
const fileReturned = "CASE WHEN refunded = 1 THEN amount ELSE (SELECT COALESCE(SUM(r.amount), 0) FROM refunds r WHERE r.order_id = outcomes.order_id) END"

// Open returns a provider that stores its outcomes in the SQLite file at path, which is created if missing. Processes may share the file. The
// caller must close the provider.
func Open(path string) (*Provider, error) {
	db, err := sql.Open("sqlite", "file:"+path+filePragmas)
	if err != nil {
		return nil, fmt.Errorf("open file of the simulated provider: %w", err)
	}
	if err := createOutcomes(context.Background(), db); err != nil {
		return nil, fmt.Errorf("open file %s of the simulated provider: %w", path, errors.Join(err, db.Close()))
	}
	return newProvider(fileOutcomes{db}), nil
}

// createOutcomes creates the tables and adds the column that files of older versions lack.
func createOutcomes(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, fileRefunds+"; CREATE TABLE IF NOT EXISTS outcomes (order_id TEXT PRIMARY KEY, amount INTEGER NOT NULL, "+
		"currency TEXT NOT NULL, succeeded INTEGER NOT NULL, decline_code TEXT NOT NULL, refunded INTEGER NOT NULL, "+
		"attempt INTEGER NOT NULL DEFAULT 1) WITHOUT ROWID"); err != nil {
		return err
	}
	const hasAttempt = "SELECT COUNT(*) FROM pragma_table_info('outcomes') WHERE name = 'attempt'"
	var n int
	if err := db.QueryRowContext(ctx, hasAttempt).Scan(&n); err != nil || n == 1 {
		return err
	}
	_, err := db.ExecContext(ctx, "ALTER TABLE outcomes ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1")
	// A concurrent process may have added the column.
	if qerr := db.QueryRowContext(ctx, hasAttempt).Scan(&n); qerr == nil && n == 1 {
		return nil
	}
	return err
}

func (f fileOutcomes) keep(ctx context.Context, id order.ID, o payment.Outcome) (payment.Outcome, error) {
	_, err := f.db.ExecContext(ctx, "INSERT INTO outcomes (order_id, amount, currency, succeeded, decline_code, refunded, attempt) VALUES (?,?,?,?,?,0,?) "+
		"ON CONFLICT (order_id) DO UPDATE SET amount = excluded.amount, currency = excluded.currency, succeeded = excluded.succeeded, "+
		"decline_code = excluded.decline_code, attempt = excluded.attempt WHERE outcomes.succeeded = 0 AND excluded.attempt > outcomes.attempt",
		id, o.Amount.Amount, o.Amount.Currency, o.Succeeded, o.DeclineCode, o.Attempt)
	if err != nil {
		return payment.Outcome{}, unavailable(err)
	}
	kept, _, err := f.find(ctx, id)
	return kept, err
}

func (f fileOutcomes) find(ctx context.Context, id order.ID) (o payment.Outcome, found bool, err error) {
	err = f.db.QueryRowContext(ctx, "SELECT amount, currency, succeeded, decline_code, refunded, attempt, "+fileReturned+" FROM outcomes WHERE order_id = ?", id).
		Scan(&o.Amount.Amount, &o.Amount.Currency, &o.Succeeded, &o.DeclineCode, &o.Refunded, &o.Attempt, &o.Returned)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return payment.Outcome{}, false, nil
	case err != nil:
		return payment.Outcome{}, false, unavailable(err)
	}
	return o, true, nil
}

func (f fileOutcomes) refund(ctx context.Context, id order.ID, refundID string, amount order.Cents) error {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback()
	done, err := tx.ExecContext(ctx, "INSERT INTO refunds (refund_id, order_id, amount) SELECT ?, order_id, ? FROM outcomes "+
		"WHERE order_id = ? AND succeeded = 1 AND amount > "+fileReturned+" ON CONFLICT (refund_id) DO NOTHING", refundID, amount, id)
	if err != nil {
		return unavailable(err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE outcomes SET refunded = 1 WHERE order_id = ? AND amount = "+fileReturned, id); err != nil {
		return unavailable(err)
	}
	var over bool
	if err := tx.QueryRowContext(ctx, "SELECT amount < "+fileReturned+" FROM outcomes WHERE order_id = ?", id).Scan(&over); err != nil {
		return unavailable(err)
	}
	if over {
		return fmt.Errorf("refund of %d exceeds what is left of the charge of %s: %w", amount, id, order.ErrFailedPrecondition)
	}
	if err := tx.Commit(); err != nil {
		return unavailable(err)
	}
	return nil
}

func (f fileOutcomes) list(ctx context.Context, after order.ID, limit int) ([]payment.StatementLine, error) {
	rows, err := f.db.QueryContext(ctx, "SELECT order_id, amount, currency, succeeded, decline_code, refunded, attempt, "+fileReturned+
		" FROM outcomes WHERE order_id > ? ORDER BY order_id LIMIT ?", after, limit)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var out []payment.StatementLine
	for rows.Next() {
		var l payment.StatementLine
		if err := rows.Scan(&l.OrderID, &l.Amount.Amount, &l.Amount.Currency, &l.Succeeded, &l.DeclineCode, &l.Refunded, &l.Attempt, &l.Returned); err != nil {
			return nil, unavailable(err)
		}
		out = append(out, l)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	return out, nil
}

func (f fileOutcomes) close() error { return f.db.Close() }

// unavailable returns an error of the file as order.ErrUnavailable.
func unavailable(err error) error {
	return fmt.Errorf("simulated provider: %w: %w", order.ErrUnavailable, err)
}
