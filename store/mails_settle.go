package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/duemail"
)

// DropDue deletes due mails that were sent.
func (m *Mails) DropDue(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return m.db.retry(ctx, func(ctx context.Context) error { return m.db.deleteDue(ctx, ids) })
}

// PostponeDue lets mails that were tried be due again at that time.
func (m *Mails) PostponeDue(ctx context.Context, ids []int64, until time.Time) error {
	return m.updateDue(ctx, ids, func(u *ent.DueMailUpdate) { u.SetNextTryAt(micro(until)) })
}

// ReturnDue lets leased mails that were not tried be due again at that time. The lease does not count as an attempt.
func (m *Mails) ReturnDue(ctx context.Context, ids []int64, until time.Time) error {
	return m.updateDue(ctx, ids, func(u *ent.DueMailUpdate) { u.SetNextTryAt(micro(until)).AddAttempts(-1) })
}

func (m *Mails) updateDue(ctx context.Context, ids []int64, change func(u *ent.DueMailUpdate)) error {
	if len(ids) == 0 {
		return nil
	}
	return m.db.retry(ctx, func(ctx context.Context) error {
		update := m.db.ent.DueMail.Update().Where(duemail.IDIn(ids...))
		change(update)
		return update.Exec(ctx)
	})
}

// DeadMail is a due mail and the dead letter that it becomes.
type DeadMail struct {
	ID int64
	DeadLetter
}

// DeadLetterDue makes dead letters of due mails, which are no longer due then, in one transaction. If SQL cannot take one of the dead
// letters, it writes each in a transaction of its own, and returns the errors of those that failed: their mails stay due.
func (m *Mails) DeadLetterDue(ctx context.Context, mails []DeadMail) error {
	if len(mails) == 0 {
		return nil
	}
	return allOrEach(mails, func(mails []DeadMail) error { return m.deadLetterDue(ctx, mails) })
}

func (m *Mails) deadLetterDue(ctx context.Context, mails []DeadMail) error {
	// One order of the rows prevents deadlocks with another batch.
	mails = slices.SortedFunc(slices.Values(mails), func(a, b DeadMail) int { return cmp.Compare(a.DedupKey, b.DedupKey) })
	ids := make([]int64, len(mails))
	return m.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		for i, mail := range mails {
			ids[i] = mail.ID
			if err := putDeadLetter(ctx, tx, mail.DeadLetter); err != nil {
				return err
			}
		}
		if _, err := tx.DueMail.Delete().Where(duemail.IDIn(ids...)).Exec(ctx); err != nil {
			return fmt.Errorf("delete %d due mails: %w", len(ids), err)
		}
		return nil
	})
}
