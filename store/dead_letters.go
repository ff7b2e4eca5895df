package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/failedorder"
	"github.com/spillway/spillway/ent/failedorderaction"
	"github.com/spillway/spillway/order"
)

// What may have been done with a dead letter.
const (
	ActionEdited       = "edited"
	ActionReplayed     = "replayed"
	ActionReplayFailed = "replay_failed"
	ActionDiscarded    = "discarded"
)

// LetterAction is one thing that was done with a dead letter.
type LetterAction struct {
	// Action is one of the Action constants.
	Action string
	// Actor is who did it.
	Actor string
	// Detail is why it failed, or the actor's reason.
	Detail string
	At     time.Time
}

// LetterFilter selects dead letters; an empty field selects all.
type LetterFilter struct{ Status, Source, OrderID string }

// List reads up to limit dead letters, newest first and without their payloads: those before the id, or from the newest when it is 0.
func (d *DeadLetters) List(ctx context.Context, f LetterFilter, before int64, limit int) ([]FailedOrder, error) {
	q := d.db.ent.FailedOrder.Query().Order(ent.Desc(failedorder.FieldID)).Limit(limit)
	if f.Status != "" {
		q.Where(failedorder.Status(f.Status))
	}
	if f.Source != "" {
		q.Where(failedorder.Source(f.Source))
	}
	if f.OrderID != "" {
		q.Where(failedorder.OrderID(f.OrderID))
	}
	if before > 0 {
		q.Where(failedorder.IDLT(before))
	}
	return fetch(ctx, d.db, func(ctx context.Context) ([]FailedOrder, error) {
		withoutPayload := slices.DeleteFunc(slices.Clone(failedorder.Columns), func(c string) bool { return c == failedorder.FieldPayload })
		found, err := q.Select(withoutPayload...).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read dead letters: %w", err)
		}
		return convert(found, toDeadLetter), nil
	})
}

func toDeadLetter(f *ent.FailedOrder) FailedOrder {
	return FailedOrder{
		ID: f.ID, DedupKey: f.DedupKey, Source: f.Source, OrderID: f.OrderID, Reason: f.Reason, PayloadType: f.PayloadType, Payload: f.Payload,
		TraceID: f.TraceID, Attempts: f.Attempts, Status: f.Status, CreatedAt: f.CreatedAt.UTC(), UpdatedAt: f.UpdatedAt.UTC(),
	}
}

// Get reads a dead letter with its payload and history; order.ErrNotFound when there is none.
func (d *DeadLetters) Get(ctx context.Context, id int64) (FailedOrder, error) {
	return fetch(ctx, d.db, func(ctx context.Context) (FailedOrder, error) {
		found, err := d.db.ent.FailedOrder.Get(ctx, id)
		if ent.IsNotFound(err) {
			return FailedOrder{}, noLetter(id)
		}
		if err != nil {
			return FailedOrder{}, fmt.Errorf("read dead letter %d: %w", id, err)
		}
		f := toDeadLetter(found)
		f.History, err = d.history(ctx, id)
		return f, err
	})
}

func noLetter(id int64) error {
	return order.Refuse(order.ErrNotFound, order.ReasonDeadLetterNotFound, "there is no dead letter %d", id)
}

func (d *DeadLetters) history(ctx context.Context, id int64) ([]LetterAction, error) {
	found, err := d.db.ent.FailedOrderAction.Query().Where(failedorderaction.FailedOrderID(id)).Order(failedorderaction.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the history of dead letter %d: %w", id, err)
	}
	return convert(found, func(a *ent.FailedOrderAction) LetterAction {
		return LetterAction{Action: a.Action, Actor: a.Actor, Detail: a.Detail, At: a.CreatedAt.UTC()}
	}), nil
}

// Lettered returns those of the orders that an open dead letter names.
func (d *DeadLetters) Lettered(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return fetch(ctx, d.db, func(ctx context.Context) ([]order.ID, error) {
		found, err := d.db.ent.FailedOrder.Query().Where(failedorder.Status(LetterOpen), failedorder.OrderIDIn(texts(ids)...)).
			Unique(true).Select(failedorder.FieldOrderID).Strings(ctx)
		return named[order.ID](found), err
	})
}
