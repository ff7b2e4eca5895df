package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
)

// The states of a dead letter. Only an open one is edited or closed.
const (
	// DeadLetterOpen waits for an operator.
	DeadLetterOpen = "open"
	// DeadLetterReplayed was applied.
	DeadLetterReplayed = "replayed"
	// DeadLetterDiscarded was closed without being applied.
	DeadLetterDiscarded = "discarded"
)

// DeadLetter is a dead letter: a message, entry or mail that no retry helps.
type DeadLetter struct {
	ID int64
	// DedupKey names the failure: the same failure again is the same dead letter with more attempts.
	DedupKey string
	// Source is the worker that gave up, or "broker/GROUP".
	Source  string
	OrderID string
	Reason  string
	// PayloadType is the type of the payload: the full name of its protobuf message, or "journal_entry".
	PayloadType string
	// Payload is opaque here. List leaves it out.
	Payload []byte
	// TraceID is the W3C trace id of the request that caused it, or empty.
	TraceID string
	// Attempts is how often it was tried.
	Attempts int
	// Status is DeadLetterOpen until an operator decides.
	Status               string
	CreatedAt, UpdatedAt time.Time
	// History is what was done with it, oldest first. Only Get fills it.
	History []DeadLetterAction
}

// DeadLetters keeps dead letters, in the table failed_orders.
type DeadLetters struct{ db *DB }

// NewDeadLetters makes the repository.
func NewDeadLetters(db *DB) *DeadLetters { return &DeadLetters{db: db} }

// The lengths of the columns, in characters.
const (
	maxDedupKey         = 191
	maxDeadLetterSource = 64
	maxDeadLetterOrder  = 64
	maxPayloadType      = 64
	maxTraceID          = 64
	maxDeadLetterReason = 2000
	maxActionActor      = 64
	maxActionDetail     = 2000
)

// Put writes dead letters in one transaction, or each in its own if SQL cannot take one of them. The same DedupKey again only raises its
// attempts: what an operator has closed stays closed, because it is the same payload that came again.
func (d *DeadLetters) Put(ctx context.Context, letters ...DeadLetter) error {
	return allOrEach(letters, func(letters []DeadLetter) error {
		return d.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
			for _, f := range letters {
				if err := putDeadLetter(ctx, tx, f); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// allOrEach writes the rows at once or, if SQL cannot take one of them, each by itself, so that a bad one costs only itself (I10). It returns the
// errors of the rows that were not written.
func allOrEach[T any](rows []T, write func([]T) error) error {
	err := write(rows)
	if len(rows) == 1 || !IsRowError(err) {
		return err
	}
	var errs []error
	for i := range rows {
		errs = append(errs, write(rows[i:i+1]))
	}
	return errors.Join(errs...)
}

// cause is the reason without the id of the order, which has a column of its own: dead letters with one cause have one reason, by which they are counted.
func (f DeadLetter) cause() string {
	if f.OrderID == "" {
		return f.Reason
	}
	return strings.ReplaceAll(f.Reason, f.OrderID, "…")
}

func putDeadLetter(ctx context.Context, tx *ent.Client, f DeadLetter) error {
	now := micro(time.Now())
	if f.Payload == nil {
		f.Payload = []byte{}
	}
	again := entsql.ResolveWith(func(u *entsql.UpdateSet) {
		u.Add(deadletter.FieldAttempts, 1)
		u.Set(deadletter.FieldUpdatedAt, now)
	})
	err := tx.DeadLetter.Create().SetDedupKey(truncate(f.DedupKey, maxDedupKey)).SetSource(truncate(f.Source, maxDeadLetterSource)).
		SetOrderID(truncate(f.OrderID, maxDeadLetterOrder)).SetReason(truncate(f.cause(), maxDeadLetterReason)).
		SetPayloadType(truncate(f.PayloadType, maxPayloadType)).SetPayload(f.Payload).SetTraceID(truncate(f.TraceID, maxTraceID)).
		SetAttempts(f.Attempts).SetStatus(DeadLetterOpen).SetCreatedAt(now).SetUpdatedAt(now).
		OnConflict(entsql.ConflictColumns(deadletter.FieldDedupKey), again).Exec(ctx)
	if err != nil {
		return fmt.Errorf("write dead letter %s: %w", f.DedupKey, err)
	}
	return nil
}
