package store

import (
	"context"
	"fmt"
	"github.com/spillway/spillway/ent"
	"time"
)

// The states of a dead letter. Only an open one is edited or closed.
const (
	// LetterOpen waits for an operator.
	LetterOpen = "open"
	// LetterReplayed was applied.
	LetterReplayed = "replayed"
	// LetterDiscarded was closed without being applied.
	LetterDiscarded = "discarded"
)

// FailedOrder is a dead letter: what no retry could help.
type FailedOrder struct {
	ID int64
	// DedupKey names the failure: the same failure again is the same letter with more attempts.
	DedupKey string
	// Source is the worker that gave up, or "broker/GROUP".
	Source  string
	OrderID string
	Reason  string
	// PayloadType says what the payload is: the full name of its protobuf message, or "journal_entry".
	PayloadType string
	// Payload is opaque here. List leaves it out.
	Payload []byte
	// TraceID is the W3C trace id of the request that caused it, or empty.
	TraceID string
	// Attempts is how often it was tried.
	Attempts int
	// Status is LetterOpen until an operator decides.
	Status               string
	CreatedAt, UpdatedAt time.Time
	// History is what was done with it, oldest first. Only Get fills it.
	History []LetterAction
}

// DeadLetters keeps failed orders.
type DeadLetters struct{ db *DB }

// NewDeadLetters makes the repository.
func NewDeadLetters(db *DB) *DeadLetters { return &DeadLetters{db: db} }

// The lengths of the columns, in characters.
const (
	dedupKeyMax      = 191
	letterSourceMax  = 64
	letterOrderMax   = 64
	letterTypeMax    = 64
	traceIDMax       = 64
	letterReasonMax  = 2000
	actionActorMax   = 64
	actionDetailsMax = 2000
)

// Put writes a letter. The same DedupKey again only raises its attempts: what an operator has closed stays closed, because it is
// the same payload that came again.
func (d *DeadLetters) Put(ctx context.Context, f FailedOrder) error {
	return d.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error { return d.db.putFailed(ctx, tx, f) })
}

func (db *DB) putFailed(ctx context.Context, tx *ent.Client, f FailedOrder) error {
	now := micro(time.Now())
	upsert := " ON CONFLICT (dedup_key) DO UPDATE SET attempts = failed_orders.attempts + 1, updated_at = excluded.updated_at"
	if db.isMySQL() {
		upsert = " AS new ON DUPLICATE KEY UPDATE attempts = failed_orders.attempts + 1, updated_at = new.updated_at"
	}
	if f.Payload == nil {
		f.Payload = []byte{}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO failed_orders (dedup_key, source, order_id, reason, payload_type, payload, trace_id, attempts, status, "+
		"created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?,?,?)"+upsert,
		clip(f.DedupKey, dedupKeyMax), clip(f.Source, letterSourceMax), clip(f.OrderID, letterOrderMax), clip(f.Reason, letterReasonMax),
		clip(f.PayloadType, letterTypeMax), f.Payload, clip(f.TraceID, traceIDMax), f.Attempts, LetterOpen, now, now)
	if err != nil {
		return fmt.Errorf("write failed order %s: %w", f.DedupKey, err)
	}
	return nil
}
