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

// LetterStore is what a Replayer needs of the dead letters.
type LetterStore interface {
	Get(ctx context.Context, id int64) (store.DeadLetter, error)
	CloseReplayed(ctx context.Context, id int64, payload []byte, by store.DeadLetterAction) error
	NoteFailure(ctx context.Context, id int64, by store.DeadLetterAction) error
}

// EntryStore applies journal entries that the flusher had put aside.
type EntryStore interface {
	ReplayEntry(ctx context.Context, letter store.DeadLetter, content store.Range, undone bool, by store.DeadLetterAction) (store.Outcome, bool, error)
}

// Counters lets Redis' counters of stock go that SQL's stock has overtaken.
type Counters interface {
	DropCounters(ctx context.Context, skus []order.SKU) error
}

// ReplayParts are what a Replayer works on.
type ReplayParts struct {
	Letters  LetterStore
	Entries  EntryStore
	Orders   OrderStore
	Cancel   Canceller
	Hot      HotRecords
	Counters Counters
	Mail     MailClient
	Log      *slog.Logger
}

// Replayer applies dead letters again, as the worker that gave them up would have done. Whatever it does is idempotent, and a
// journal entry, whose effect is not, is applied in the transaction that closes its letter: replaying twice changes nothing.
type Replayer struct {
	ReplayParts

	flights singleflight.Group
}

// NewReplayer makes a replayer. It is safe for concurrent use.
func NewReplayer(p ReplayParts) *Replayer {
	p.Log = p.Log.With("worker", "replayer")
	return &Replayer{ReplayParts: p}
}

// replayTimeout bounds one replay, which may send hundreds of mails; what it did by then stays done, and the next replay goes on.
const replayTimeout = 25 * time.Second

// Replay applies an open letter and closes it. One that was replayed before stays as it is. order.ErrFailedPrecondition says why it failed
// again, or that it was discarded; order.ErrUnavailable, that what it needs is away. Either way the letter stays open, and its
// history says so.
func (r *Replayer) Replay(ctx context.Context, id int64, actor string) error {
	// Two callers at once share one replay, so that not even a mail is sent twice.
	_, err, _ := r.flights.Do(strconv.FormatInt(id, 10), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayTimeout)
		defer cancel()
		return nil, r.replay(ctx, id, actor)
	})
	return err
}

func (r *Replayer) replay(ctx context.Context, id int64, actor string) error {
	l, err := r.Letters.Get(ctx, id)
	if err != nil {
		return err
	}
	if l.Status == store.DeadLetterDiscarded {
		return fmt.Errorf("dead letter %d was discarded: %w", id, order.ErrFailedPrecondition)
	}
	err = r.apply(ctx, l, store.DeadLetterAction{Actor: actor})
	if err == nil && l.Status == store.DeadLetterReplayed {
		return nil
	}
	if err == nil {
		r.Log.InfoContext(ctx, "a dead letter was replayed", "letter", id, "source", l.Source, "order", l.OrderID, "actor", actor)
		return nil
	}
	r.Log.WarnContext(ctx, "a dead letter could not be replayed", "letter", id, "source", l.Source, "order", l.OrderID, "actor", actor, "error", err)
	if nerr := r.Letters.NoteFailure(ctx, id, store.DeadLetterAction{Actor: actor, Detail: oneLine(err)}); nerr != nil {
		r.Log.WarnContext(ctx, "the failed replay is not in the letter's history", "letter", id, "error", nerr)
	}
	return failedAgain(id, err)
}

// failedAgain makes order.ErrFailedPrecondition of what the next replay will not mend by itself, and leaves the rest as it is.
func failedAgain(id int64, err error) error {
	for _, passing := range []error{order.ErrUnavailable, order.ErrUnknownOutcome, order.ErrOverloaded, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, passing) {
			return err
		}
	}
	// The cause is only quoted: what was wrong with the letter is not wrong with the operator's request.
	return fmt.Errorf("dead letter %d stays open, it failed again: %s: %w", id, oneLine(err), order.ErrFailedPrecondition)
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
	return r.Letters.CloseReplayed(ctx, l.ID, l.Payload, by)
}

// entry applies a journal entry exactly once. Redis' counters follow: also when the letter was closed before, because that replay
// may have died in between.
func (r *Replayer) entry(ctx context.Context, l store.DeadLetter, by store.DeadLetterAction) error {
	e, err := journal.UnmarshalDeadLetter(l.Payload)
	if err != nil {
		return err
	}
	content := store.Range{FirstID: e.ID, LastID: e.ID, Entries: 1}
	// A letter whose key is no entry's has no row in the log of what was applied.
	if key, ok := store.ParseEntryKey(l.DedupKey); ok {
		content.Partition, content.Epoch = key.Partition, key.Epoch
	}
	if err := include(&content, []journal.Entry{e}, true); err != nil {
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

// applyEntry undoes an order that came with another's key before the letter is closed: after a crash it is still open.
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
