package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// Counters removes counters of stock in Redis that no longer agree with SQL, so that they are loaded again.
type Counters interface {
	DropCounters(ctx context.Context, skus []order.SKU) error
}

// ReplayParts are the dependencies of a Replayer.
type ReplayParts struct {
	DeadLetters *store.DeadLetters
	Entries     *store.Stock
	Orders      OrderStore
	Cancel      Canceller
	Hot         HotOrders
	Counters    Counters
	Snapshots   SnapshotSources
	Mail        MailClient
	Log         *slog.Logger
}

// Replayer applies dead letters again, as the worker that wrote them would have done. Replaying twice changes nothing: each step is
// idempotent, except for applying a journal entry, which is done in the transaction that closes the dead letter.
type Replayer struct {
	ReplayParts

	flights singleflight.Group
}

// NewReplayer makes a replayer. It is safe for concurrent use.
func NewReplayer(p ReplayParts) *Replayer {
	p.Log = p.Log.With("worker", "replayer")
	return &Replayer{ReplayParts: p}
}

// replayTimeout bounds one replay, which may send hundreds of mails. The next replay continues where one that timed out has stopped.
const replayTimeout = 25 * time.Second

// Replay applies an open dead letter and closes it. It does nothing for one that was replayed before. It returns
// order.ErrFailedPrecondition with the cause if the replay failed or the dead letter was discarded, and order.ErrUnavailable if a
// dependency is unavailable. After a failure the dead letter stays open, and its history records the attempt.
func (r *Replayer) Replay(ctx context.Context, id int64, actor string) error {
	return r.ReplayNoted(ctx, id, actor, "")
}

// ReplayNoted is Replay with a note for the history.
func (r *Replayer) ReplayNoted(ctx context.Context, id int64, actor, text string) error {
	// Concurrent callers share one replay, so that no mail is sent twice.
	_, err, _ := r.flights.Do(strconv.FormatInt(id, 10), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayTimeout)
		defer cancel()
		return nil, r.replay(ctx, id, actor, text)
	})
	return err
}

func (r *Replayer) replay(ctx context.Context, id int64, actor, text string) error {
	l, err := r.DeadLetters.Get(ctx, id)
	if err != nil {
		return err
	}
	if l.Status == store.DeadLetterDiscarded {
		return fmt.Errorf("dead letter %d was discarded: %w", id, order.ErrFailedPrecondition)
	}
	err = r.apply(ctx, l, store.DeadLetterAction{Actor: actor, Detail: text})
	if err == nil && l.Status == store.DeadLetterReplayed {
		return nil
	}
	if err == nil {
		r.Log.InfoContext(ctx, "dead letter replayed", "dead_letter", id, "source", l.Source, "order_id", l.OrderID, "actor", actor)
		return nil
	}
	r.Log.WarnContext(ctx, "failed to replay a dead letter", "dead_letter", id, "source", l.Source, "order_id", l.OrderID, "actor", actor, "error", err)
	if nerr := r.DeadLetters.NoteFailure(ctx, id, store.DeadLetterAction{Actor: actor, Detail: oneLine(err)}); nerr != nil {
		r.Log.WarnContext(ctx, "failed to record the failed replay in the dead letter's history", "dead_letter", id, "error", nerr)
	}
	return failedAgain(id, err)
}

// failedAgain returns a transient error as it is, and any other as order.ErrFailedPrecondition, because another replay would fail too.
func failedAgain(id int64, err error) error {
	for _, transient := range []error{order.ErrUnavailable, order.ErrUnknownOutcome, order.ErrOverloaded, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, transient) {
			return err
		}
	}
	// The cause is quoted, not wrapped: an invalid dead letter does not make the operator's request invalid.
	return fmt.Errorf("dead letter %d stays open, its replay failed: %s: %w", id, oneLine(err), order.ErrFailedPrecondition)
}

func (r *Replayer) apply(ctx context.Context, l store.DeadLetter, by store.DeadLetterAction) error {
	if l.PayloadType == journal.DeadLetterType {
		return r.entry(ctx, l, by)
	}
	if l.Status != store.DeadLetterOpen {
		return nil
	}
	var err error
	if isMail(l.Source) {
		err = r.mails(ctx, l)
	} else {
		err = r.events(ctx, l)
	}
	if err != nil {
		return err
	}
	return r.DeadLetters.CloseReplayed(ctx, l.ID, l.Payload, by)
}

// entry applies a journal entry exactly once, and then drops Redis' counters of its SKUs. It drops them also if the dead letter is
// closed, because the process of that replay may have died in between.
func (r *Replayer) entry(ctx context.Context, l store.DeadLetter, by store.DeadLetterAction) error {
	e, content, err := r.entryOf(ctx, l)
	if err != nil {
		return err
	}
	if l.Status == store.DeadLetterOpen {
		if err := r.applyEntry(ctx, l, content, by); err != nil {
			return err
		}
	}
	skus := make([]order.SKU, len(e.Deltas))
	for i, d := range e.Deltas {
		skus[i] = d.SKU
	}
	return r.Counters.DropCounters(ctx, skus)
}

// entryOf reads the entry of a dead letter, and the range that it is.
func (r *Replayer) entryOf(ctx context.Context, l store.DeadLetter) (journal.Entry, store.Range, error) {
	e, err := journal.UnmarshalDeadLetter(l.Payload)
	if err != nil {
		return e, store.Range{}, err
	}
	if err := r.Snapshots.completeEntry(ctx, &e); err != nil {
		return e, store.Range{}, err
	}
	content := store.Range{FirstID: e.ID, LastID: e.ID, Entries: 1}
	// A dead letter with another kind of key has no row in the dedup log.
	if key, ok := store.ParseEntryKey(l.DedupKey); ok {
		content.Partition, content.Epoch = key.Partition, key.Epoch
	}
	err = include(&content, []journal.Entry{e}, true)
	return e, content, err
}

// Check reports whether a dead letter is open and can be read as its replay would read it. It changes nothing. That SQL or the mail server takes
// it is known after the replay only.
func (r *Replayer) Check(ctx context.Context, id int64) error {
	l, err := r.DeadLetters.Get(ctx, id)
	if err != nil {
		return err
	}
	if l.Status != store.DeadLetterOpen {
		return order.Refuse(order.ErrFailedPrecondition, order.ReasonDeadLetterClosed, "dead letter %d is %s", id, l.Status)
	}
	switch {
	case l.PayloadType == journal.DeadLetterType:
		_, _, err = r.entryOf(ctx, l)
	case isMail(l.Source):
		_, err = r.mailsOf(ctx, l)
	default:
		_, err = r.changesOf(ctx, l)
	}
	if err != nil {
		return failedAgain(id, err)
	}
	return nil
}

// applyEntry applies the entry and closes the dead letter. It cancels an order with the idempotency key of another order before it
// closes the dead letter, which therefore stays open after a crash in between.
func (r *Replayer) applyEntry(ctx context.Context, l store.DeadLetter, content store.Range, by store.DeadLetterAction) error {
	_, _, err := r.Entries.ReplayEntry(ctx, l, content, false, by)
	var duplicates *store.DuplicatesError
	if !errors.As(err, &duplicates) {
		return err
	}
	if err := r.write(ctx, content.Changes); err != nil {
		return err
	}
	_, _, err = r.Entries.ReplayEntry(ctx, l, content, true, by)
	return err
}
