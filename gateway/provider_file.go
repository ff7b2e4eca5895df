package gateway

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // The driver "sqlite".

	"github.com/spillway/spillway/order"
)

// fileOutcomes are kept in an SQLite file.
type fileOutcomes struct{ db *sql.DB }

// filePragmas: several processes write. What was written outlives the process, though not a power cut, which costs no fsync a charge.
const filePragmas = "?_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_txlock=immediate"

// NewSimulatedIn makes a provider whose memory is the file at path: processes share it, and it outlives them, as a real provider's does.
// It must be closed.
func NewSimulatedIn(path string) (*Simulated, error) {
	db, err := sql.Open("sqlite", "file:"+path+filePragmas)
	if err != nil {
		return nil, fmt.Errorf("the simulated provider's file: %w", err)
	}
	if _, err := db.ExecContext(context.Background(), "CREATE TABLE IF NOT EXISTS outcomes (order_id TEXT PRIMARY KEY, amount INTEGER NOT NULL, "+
		"currency TEXT NOT NULL, succeeded INTEGER NOT NULL, decline_code TEXT NOT NULL, refunded INTEGER NOT NULL) WITHOUT ROWID"); err != nil {
		return nil, fmt.Errorf("the simulated provider's file %s: %w", path, errors.Join(err, db.Close()))
	}
	return simulated(fileOutcomes{db}), nil
}

func (f fileOutcomes) keep(ctx context.Context, id order.ID, o ProviderOutcome) (ProviderOutcome, error) {
	_, err := f.db.ExecContext(ctx, "INSERT INTO outcomes (order_id, amount, currency, succeeded, decline_code, refunded) VALUES (?,?,?,?,?,0) "+
		"ON CONFLICT (order_id) DO NOTHING", id, o.Amount.Amount, o.Amount.Currency, o.Succeeded, o.DeclineCode)
	if err != nil {
		return ProviderOutcome{}, away(err)
	}
	kept, _, err := f.find(ctx, id)
	return kept, err
}

func (f fileOutcomes) find(ctx context.Context, id order.ID) (o ProviderOutcome, found bool, err error) {
	err = f.db.QueryRowContext(ctx, "SELECT amount, currency, succeeded, decline_code, refunded FROM outcomes WHERE order_id = ?", id).
		Scan(&o.Amount.Amount, &o.Amount.Currency, &o.Succeeded, &o.DeclineCode, &o.Refunded)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ProviderOutcome{}, false, nil
	case err != nil:
		return ProviderOutcome{}, false, away(err)
	}
	return o, true, nil
}

func (f fileOutcomes) refund(ctx context.Context, id order.ID) error {
	if _, err := f.db.ExecContext(ctx, "UPDATE outcomes SET refunded = 1 WHERE order_id = ?", id); err != nil {
		return away(err)
	}
	return nil
}

func (f fileOutcomes) close() error { return f.db.Close() }

// away is what a provider that cannot be reached is to its callers.
func away(err error) error {
	return fmt.Errorf("the simulated provider: %w: %w", order.ErrUnavailable, err)
}
