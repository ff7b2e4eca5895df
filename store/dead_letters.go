package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
	"github.com/spillway/spillway/ent/deadletteraction"
	"github.com/spillway/spillway/order"
)

// What may have been done with a dead letter.
const (
	ActionEdited       = "edited"
	ActionReplayed     = "replayed"
	ActionReplayFailed = "replay_failed"
	ActionDiscarded    = "discarded"
)

// DeadLetterAction is one thing that was done with a dead letter.
type DeadLetterAction struct {
	// Action is one of the Action constants.
	Action string
	// Actor is who did it.
	Actor string
	// Detail is why it failed, or the actor's reason.
	Detail string
	At     time.Time
}

// DeadLetterFilter selects dead letters; an empty field selects all.
type DeadLetterFilter struct{ Status, Source, OrderID, Reason, PayloadType string }

// List reads up to limit dead letters, newest first and without their payloads: those before the id, or from the newest when it is 0.
func (d *DeadLetters) List(ctx context.Context, f DeadLetterFilter, before int64, limit int) ([]DeadLetter, error) {
	q := d.db.ent.DeadLetter.Query().Order(ent.Desc(deadletter.FieldID)).Limit(limit)
	if f.Status != "" {
		q.Where(deadletter.Status(f.Status))
	}
	if f.Source != "" {
		q.Where(deadletter.Source(f.Source))
	}
	if f.OrderID != "" {
		q.Where(deadletter.OrderID(f.OrderID))
	}
	if f.Reason != "" {
		q.Where(deadletter.Reason(f.Reason))
	}
	if f.PayloadType != "" {
		q.Where(deadletter.PayloadType(f.PayloadType))
	}
	if before > 0 {
		q.Where(deadletter.IDLT(before))
	}
	return fetch(ctx, d.db, func(ctx context.Context) ([]DeadLetter, error) {
		found, err := q.Select(deadLetterHead()...).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read dead letters: %w", err)
		}
		return convert(found, toDeadLetter), nil
	})
}

// deadLetterHead are the columns without the payload.
func deadLetterHead() []string {
	return slices.DeleteFunc(slices.Clone(deadletter.Columns), func(c string) bool { return c == deadletter.FieldPayload })
}

func toDeadLetter(f *ent.DeadLetter) DeadLetter {
	return DeadLetter{
		ID: f.ID, DedupKey: f.DedupKey, Source: f.Source, OrderID: f.OrderID, Reason: f.Reason, PayloadType: f.PayloadType, Payload: f.Payload,
		TraceID: f.TraceID, Attempts: f.Attempts, Status: f.Status, CreatedAt: f.CreatedAt.UTC(), UpdatedAt: f.UpdatedAt.UTC(),
	}
}

// Get reads a dead letter with its payload and history; order.ErrNotFound when there is none.
func (d *DeadLetters) Get(ctx context.Context, id int64) (DeadLetter, error) {
	return fetch(ctx, d.db, func(ctx context.Context) (DeadLetter, error) {
		found, err := d.db.ent.DeadLetter.Get(ctx, id)
		if ent.IsNotFound(err) {
			return DeadLetter{}, deadLetterNotFound(id)
		}
		if err != nil {
			return DeadLetter{}, fmt.Errorf("read dead letter %d: %w", id, err)
		}
		f := toDeadLetter(found)
		f.History, err = d.history(ctx, id)
		return f, err
	})
}

func deadLetterNotFound(id int64) error {
	return order.Refuse(order.ErrNotFound, order.ReasonDeadLetterNotFound, "there is no dead letter %d", id)
}

func (d *DeadLetters) history(ctx context.Context, id int64) ([]DeadLetterAction, error) {
	found, err := d.db.ent.DeadLetterAction.Query().Where(deadletteraction.DeadLetterID(id)).Order(deadletteraction.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the history of dead letter %d: %w", id, err)
	}
	return convert(found, func(a *ent.DeadLetterAction) DeadLetterAction {
		return DeadLetterAction{Action: a.Action, Actor: a.Actor, Detail: a.Detail, At: a.CreatedAt.UTC()}
	}), nil
}

// OpenFor returns those of the orders that an open dead letter names.
func (d *DeadLetters) OpenFor(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return fetch(ctx, d.db, func(ctx context.Context) ([]order.ID, error) {
		found, err := d.db.ent.DeadLetter.Query().Where(deadletter.Status(DeadLetterOpen), deadletter.OrderIDIn(texts(ids)...)).
			Unique(true).Select(deadletter.FieldOrderID).Strings(ctx)
		return named[order.ID](found), err
	})
}
