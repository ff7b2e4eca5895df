package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// FailedOrder is a dead letter: what no retry could help.
type FailedOrder struct {
	ID int64
	// DedupKey names the failure: the same failure again is the same letter with more attempts.
	DedupKey string
	// Source is the worker that gave up.
	Source  string
	OrderID string
	Reason  string
	Payload []byte
	TraceID string
	// Attempts is how often it was tried.
	Attempts int
	// Status is "open" until an operator decides.
	Status    string
	CreatedAt time.Time
}

// DeadLetters keeps failed orders.
type DeadLetters struct{ db *DB }

// NewDeadLetters makes the repository.
func NewDeadLetters(db *DB) *DeadLetters { return &DeadLetters{db: db} }

// statusOpen is a letter that waits for an operator.
const statusOpen = "open"

// Put writes a letter. The same DedupKey again only raises its attempts.
func (d *DeadLetters) Put(ctx context.Context, f FailedOrder) error {
	return d.db.tx(ctx, func(ctx context.Context, tx *sql.Tx) error { return d.db.putFailed(ctx, tx, f) })
}

func (db *DB) putFailed(ctx context.Context, tx *sql.Tx, f FailedOrder) error {
	now := micro(time.Now())
	upsert := " ON CONFLICT (dedup_key) DO UPDATE SET attempts = failed_orders.attempts + 1, updated_at = excluded.updated_at"
	if db.isMySQL() {
		upsert = " AS new ON DUPLICATE KEY UPDATE attempts = failed_orders.attempts + 1, updated_at = new.updated_at"
	}
	if f.Payload == nil {
		f.Payload = []byte{}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO failed_orders (dedup_key, source, order_id, reason, payload, trace_id, attempts, status, created_at, updated_at) "+
		"VALUES (?,?,?,?,?,?,?,?,?,?)"+upsert,
		clip(f.DedupKey, 191), f.Source, clip(f.OrderID, 64), clip(f.Reason, 2000), f.Payload, f.TraceID, f.Attempts, statusOpen, now, now)
	if err != nil {
		return fmt.Errorf("write failed order %s: %w", f.DedupKey, err)
	}
	return nil
}

// List reads up to limit letters after the id, oldest first.
func (d *DeadLetters) List(ctx context.Context, after int64, limit int) (out []FailedOrder, err error) {
	err = d.db.call(ctx, func(ctx context.Context) (err error) {
		out, err = d.list(ctx, after, limit)
		return err
	})
	return out, err
}

func (d *DeadLetters) list(ctx context.Context, after int64, limit int) ([]FailedOrder, error) {
	rows, err := d.db.sql.QueryContext(ctx, "SELECT id, dedup_key, source, order_id, reason, payload, trace_id, attempts, status, created_at "+
		"FROM failed_orders WHERE id > ? ORDER BY id LIMIT ?", after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []FailedOrder
	for rows.Next() {
		var f FailedOrder
		if err := rows.Scan(&f.ID, &f.DedupKey, &f.Source, &f.OrderID, &f.Reason, &f.Payload, &f.TraceID, &f.Attempts, &f.Status, &f.CreatedAt); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}
