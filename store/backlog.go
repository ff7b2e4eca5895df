package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
	"github.com/spillway/spillway/ent/duemail"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/refund"
	"github.com/spillway/spillway/order"
)

// maxWaiting bounds how many rows are counted: reading 100,000 rows of an index takes MySQL some 20 ms.
const maxWaiting = 100_000

// Waiting is what waits in SQL for one kind of worker.
type Waiting struct {
	// Count is the number of rows, at most maxWaiting.
	Count int64
	// Since is the time from which on the oldest of them waits; zero if there is none.
	Since time.Time
}

// Backlog is what waits in SQL.
type Backlog struct {
	// Pending, Paid and ShipFailed are orders in these states.
	Pending, Paid, ShipFailed Waiting
	// Cancellations are those that are not finished, Refunds those that the provider has not confirmed.
	Cancellations, Refunds Waiting
	// Mails are those of the outbox, DeadLetters those that wait for an operator.
	Mails, DeadLetters Waiting
}

// Backlogs reads what waits in SQL. It is safe for concurrent use.
type Backlogs struct{ db *DB }

// NewBacklogs makes a reader.
func NewBacklogs(db *DB) *Backlogs { return &Backlogs{db} }

// Read reads the backlog. Its figures are read one after the other, so that they need not fit each other.
func (b *Backlogs) Read(ctx context.Context) (Backlog, error) {
	return fetch(ctx, b.db, func(ctx context.Context) (out Backlog, err error) {
		for _, w := range []struct {
			out    *Waiting
			from   string // table and condition
			oldest func(ctx context.Context) (time.Time, error)
		}{
			{&out.Pending, inState(order.Pending), b.oldestIn(order.Pending)},
			{&out.Paid, inState(order.Paid), b.oldestIn(order.Paid)},
			{&out.ShipFailed, inState(order.ShipFailed), b.oldestIn(order.ShipFailed)},
			{&out.Cancellations, "order_cancellations WHERE finished_at IS NULL", b.oldestCancellation},
			{&out.Refunds, "refunds WHERE confirmed_at IS NULL", b.oldestRefund},
			{&out.Mails, "due_mails", b.oldestMail},
			{&out.DeadLetters, fmt.Sprintf("failed_orders WHERE status = '%s'", DeadLetterOpen), b.oldestDeadLetter},
		} {
			if *w.out, err = b.waiting(ctx, w.from, w.oldest); err != nil {
				return out, fmt.Errorf("read what waits in %s: %w", w.from, err)
			}
		}
		return out, nil
	})
}

func inState(s order.State) string { return fmt.Sprintf("orders WHERE state = %d", s) }

// waiting counts the rows and, if there are any, reads the oldest.
func (b *Backlogs) waiting(ctx context.Context, from string, oldest func(ctx context.Context) (time.Time, error)) (w Waiting, err error) {
	query := fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT %d) AS counted", from, maxWaiting)
	if err = each(ctx, b.db.ent, from, func(s scanner) error { return s.Scan(&w.Count) }, query); err != nil || w.Count == 0 {
		return w, err
	}
	w.Since, err = oldest(ctx)
	if ent.IsNotFound(err) {
		return Waiting{}, nil // It was done meanwhile.
	}
	return w, err
}

func (b *Backlogs) oldestIn(s order.State) func(ctx context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		o, err := b.db.ent.Order.Query().Where(entorder.State(int8(s))).Order(entorder.ByUpdatedAt()).Select(entorder.FieldUpdatedAt).First(ctx)
		if err != nil {
			return time.Time{}, err
		}
		return o.UpdatedAt.UTC(), nil
	}
}

func (b *Backlogs) oldestCancellation(ctx context.Context) (time.Time, error) {
	c, err := b.db.ent.OrderCancellation.Query().Where(ordercancellation.FinishedAtIsNil()).Order(ordercancellation.ByCreatedAt()).
		Select(ordercancellation.FieldCreatedAt).First(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return c.CreatedAt.UTC(), nil
}

func (b *Backlogs) oldestRefund(ctx context.Context) (time.Time, error) {
	r, err := b.db.ent.Refund.Query().Where(refund.ConfirmedAtIsNil()).Order(refund.ByCreatedAt()).Select(refund.FieldCreatedAt).First(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return r.CreatedAt.UTC(), nil
}

// oldestMail reads the mail with the lowest id: created_at has no index.
func (b *Backlogs) oldestMail(ctx context.Context) (time.Time, error) {
	m, err := b.db.ent.DueMail.Query().Order(duemail.ByID()).Select(duemail.FieldCreatedAt).First(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return m.CreatedAt.UTC(), nil
}

func (b *Backlogs) oldestDeadLetter(ctx context.Context) (time.Time, error) {
	d, err := b.db.ent.DeadLetter.Query().Where(deadletter.Status(DeadLetterOpen)).Order(deadletter.ByID()).Select(deadletter.FieldCreatedAt).First(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return d.CreatedAt.UTC(), nil
}
