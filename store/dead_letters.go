package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/order"
)

// What may have been done with a letter.
const (
	ActionEdited       = "edited"
	ActionReplayed     = "replayed"
	ActionReplayFailed = "replay_failed"
	ActionDiscarded    = "discarded"
)

// LetterAction is one thing that was done with a letter.
type LetterAction struct {
	// Action is one of the Action constants.
	Action string
	// Actor is who did it.
	Actor string
	// Detail is why it failed, or the actor's reason.
	Detail string
	At     time.Time
}

// LetterFilter says which letters are meant; what is empty means all.
type LetterFilter struct{ Status, Source, OrderID string }

func (f LetterFilter) where() (where string, args []any) {
	conditions := []string{"1 = 1"}
	for _, c := range []struct{ column, value string }{{"status", f.Status}, {"source", f.Source}, {"order_id", f.OrderID}} {
		if c.value != "" {
			conditions = append(conditions, c.column+" = ?")
			args = append(args, c.value)
		}
	}
	return strings.Join(conditions, " AND "), args
}

const letterColumns = "id, dedup_key, source, order_id, reason, payload_type, trace_id, attempts, status, created_at, updated_at"

// List reads up to limit letters, newest first and without their payloads: those before the id, or from the newest when it is 0.
func (d *DeadLetters) List(ctx context.Context, f LetterFilter, before int64, limit int) ([]FailedOrder, error) {
	where, args := f.where()
	if before > 0 {
		where += " AND id < ?"
		args = append(args, before)
	}
	return fetch(ctx, d.db, func(ctx context.Context) ([]FailedOrder, error) {
		return collect(ctx, d.db.ent, "failed orders", func(r scanner) (FailedOrder, error) { return scanLetter(r) },
			"SELECT "+letterColumns+" FROM failed_orders WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
	})
}

// scanLetter reads the letterColumns, and further ones into more.
func scanLetter(r scanner, more ...any) (FailedOrder, error) {
	var f FailedOrder
	err := r.Scan(append([]any{
		&f.ID, &f.DedupKey, &f.Source, &f.OrderID, &f.Reason, &f.PayloadType, &f.TraceID, &f.Attempts, &f.Status, &f.CreatedAt, &f.UpdatedAt,
	}, more...)...)
	f.CreatedAt, f.UpdatedAt = f.CreatedAt.UTC(), f.UpdatedAt.UTC()
	return f, err
}

// Get reads a letter with its payload and history; order.ErrNotFound when there is none.
func (d *DeadLetters) Get(ctx context.Context, id int64) (FailedOrder, error) {
	return fetch(ctx, d.db, func(ctx context.Context) (FailedOrder, error) {
		var payload []byte
		f, err := scanLetter(queryRow(ctx, d.db.ent, "SELECT "+letterColumns+", payload FROM failed_orders WHERE id = ?", id), &payload)
		if errors.Is(err, sql.ErrNoRows) {
			return f, noLetter(id)
		}
		if err != nil {
			return f, fmt.Errorf("read failed order %d: %w", id, err)
		}
		f.Payload = payload
		f.History, err = d.history(ctx, id)
		return f, err
	})
}

func noLetter(id int64) error {
	return order.Refuse(order.ErrNotFound, order.ReasonDeadLetterNotFound, "there is no dead letter %d", id)
}

func (d *DeadLetters) history(ctx context.Context, id int64) ([]LetterAction, error) {
	return collect(ctx, d.db.ent, fmt.Sprintf("the history of failed order %d", id), func(r scanner) (a LetterAction, err error) {
		err = r.Scan(&a.Action, &a.Actor, &a.Detail, &a.At)
		a.At = a.At.UTC()
		return a, err
	}, "SELECT action, actor, detail, created_at FROM failed_order_actions WHERE failed_order_id = ? ORDER BY id", id)
}
