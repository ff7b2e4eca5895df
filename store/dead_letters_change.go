package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/order"
)

// Edit replaces the payload of an open dead letter, and the order that it concerns unless that is empty, and notes who did it.
// order.ErrFailedPrecondition means that it is closed.
func (d *DeadLetters) Edit(ctx context.Context, id int64, payload []byte, orderID string, by DeadLetterAction) error {
	by.Action = ActionEdited
	return d.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		status, err := d.db.deadLetterStatus(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case status != DeadLetterOpen:
			return order.Refuse(order.ErrFailedPrecondition, order.ReasonDeadLetterClosed, "dead letter %d is %s; only an open one can be edited", id, status)
		}
		edit := tx.DeadLetter.Update().Where(deadletter.ID(id)).SetPayload(payload).SetUpdatedAt(micro(time.Now()))
		if orderID != "" {
			edit.SetOrderID(truncate(orderID, maxDeadLetterOrder))
		}
		err = edit.Exec(ctx)
		if err != nil {
			return fmt.Errorf("edit dead letter %d: %w", id, err)
		}
		return note(ctx, tx, id, by)
	})
}

// Discard closes an open dead letter without applying it. One that was discarded before stays as it is; order.ErrFailedPrecondition means that it
// was replayed. If its order has no row, the closed epochs in which the order may have got units or a charge are reconciled again.
func (d *DeadLetters) Discard(ctx context.Context, id int64, by DeadLetterAction) error {
	by.Action = ActionDiscarded
	return d.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		closed, err := d.db.closeDeadLetter(ctx, tx, id, DeadLetterDiscarded, nil, by)
		if err != nil || !closed {
			return err
		}
		return unreconcile(ctx, tx, id)
	})
}

// epochClockSkew is how much the clock of the server that made an order's id may differ from that of the process that closed an epoch.
const epochClockSkew = time.Minute

// unreconcile makes the epochs that were closed after the dead letter's order was placed unreconciled, unless that has a row or is not
// known. The update takes the locks of all of them, also of those that are unreconciled: Reconciled waits for them, and then sees
// the discarded dead letter.
func unreconcile(ctx context.Context, tx *ent.Client, id int64) error {
	dead, err := tx.DeadLetter.Query().Where(deadletter.ID(id)).Select(deadletter.FieldOrderID).String(ctx)
	if err != nil {
		return fmt.Errorf("read the order of dead letter %d: %w", id, err)
	}
	orderID, err := order.ParseID(dead)
	if err != nil {
		return nil //nolint:nilerr // The payload names no order.
	}
	written, err := tx.Order.Query().Where(entorder.ID(string(orderID))).Exist(ctx)
	if err != nil || written {
		return err
	}
	err = tx.StockEpoch.Update().Where(
		stockepoch.PartitionNo(int16(orderID.Partition())), stockepoch.ClosedAtGTE(micro(orderID.Time().Add(-epochClockSkew))),
	).ClearReconciledAt().Exec(ctx)
	if err != nil {
		return fmt.Errorf("reconcile the epochs of order %s again: %w", orderID, err)
	}
	return nil
}

// CloseReplayed closes an open dead letter after its payload, which must still be this one, was applied. One that was replayed before
// stays as it is.
func (d *DeadLetters) CloseReplayed(ctx context.Context, id int64, payload []byte, by DeadLetterAction) error {
	by.Action = ActionReplayed
	return d.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		_, err := d.db.closeDeadLetter(ctx, tx, id, DeadLetterReplayed, payload, by)
		return err
	})
}

// NoteFailure adds a failed replay to the history; the dead letter stays as it is.
func (d *DeadLetters) NoteFailure(ctx context.Context, id int64, by DeadLetterAction) error {
	by.Action = ActionReplayFailed
	return d.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error { return note(ctx, tx, id, by) })
}

// closeDeadLetter moves an open dead letter to the status and notes who did it, in the caller's transaction. It returns false when the
// dead letter is in that status already, so that of two callers one gets true. A payload that is not nil must be the stored one, so
// that what was read is what is closed.
func (db *DB) closeDeadLetter(ctx context.Context, tx *ent.Client, id int64, to string, payload []byte, by DeadLetterAction) (bool, error) {
	// The row's lock comes first: what is read below holds until the commit.
	closing := tx.DeadLetter.Update().Where(deadletter.ID(id), deadletter.Status(DeadLetterOpen)).SetStatus(to).SetUpdatedAt(micro(time.Now()))
	if payload != nil {
		closing.Where(deadletter.Payload(payload))
	}
	err := expectOneRow(errUnchanged)(closing.Save(ctx))
	if err == nil {
		return true, note(ctx, tx, id, by)
	}
	if !errors.Is(err, errUnchanged) {
		return false, fmt.Errorf("close dead letter %d: %w", id, err)
	}
	status, err := db.deadLetterStatus(ctx, tx, id)
	switch {
	case err != nil:
		return false, err
	case status == to:
		return false, nil
	case status == DeadLetterOpen:
		return false, order.Refuse(order.ErrFailedPrecondition, order.ReasonDeadLetterEdited, "dead letter %d was edited meanwhile; look at it again", id)
	}
	return false, order.Refuse(order.ErrFailedPrecondition, order.ReasonDeadLetterClosed, "dead letter %d is %s already", id, status)
}

// errUnchanged means that a dead letter was not open, or not with this payload.
var errUnchanged = errors.New("no open letter was changed")

// deadLetterStatus reads and locks a dead letter.
func (db *DB) deadLetterStatus(ctx context.Context, tx *ent.Client, id int64) (string, error) {
	found, err := locked(db, tx.DeadLetter.Query().Where(deadletter.ID(id))).Select(deadletter.FieldStatus).Strings(ctx)
	if err != nil {
		return "", fmt.Errorf("read dead letter %d: %w", id, err)
	}
	if len(found) == 0 {
		return "", deadLetterNotFound(id)
	}
	return found[0], nil
}

// note adds to a dead letter's history.
func note(ctx context.Context, tx *ent.Client, id int64, a DeadLetterAction) error {
	err := tx.DeadLetterAction.Create().SetDeadLetterID(id).SetAction(a.Action).SetActor(truncate(a.Actor, maxActionActor)).
		SetDetail(truncate(a.Detail, maxActionDetail)).SetCreatedAt(micro(time.Now())).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note that dead letter %d was %s: %w", id, a.Action, err)
	}
	return nil
}
