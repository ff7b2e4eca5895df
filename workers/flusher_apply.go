package workers

import (
	"context"
	"errors"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
	"github.com/spillway/spillway/wire"
)

// flush applies the entries in one transaction, or in several if SQL cannot take one of them.
func (f *StockFlusher) flush(ctx context.Context, entries []journal.Entry) error {
	if f.cfg.WithOrders { // Otherwise the orders are not read.
		if err := f.snapshots.complete(ctx, entries); err != nil {
			return err
		}
	}
	err := f.apply(ctx, entries)
	switch {
	case err == nil:
		return f.prune(ctx)
	case errors.Is(err, store.ErrFlushConflict):
		// Another flusher advanced the offset, or the epoch was closed: continue from the offset in SQL.
		f.offset = journal.Offset{}
		return f.loadOffset(ctx)
	case !store.IsRowError(err):
		f.offset = journal.Offset{}
		return err
	}
	if err := f.split(ctx, entries, err); err != nil {
		f.offset = journal.Offset{}
		return err
	}
	return nil
}

// split applies the halves of a batch that SQL cannot take, one after the other, and splits them in turn. It makes a dead letter of a single
// entry that SQL cannot take, and advances the offset (I10). A bad entry costs two transactions for each halving.
func (f *StockFlusher) split(ctx context.Context, entries []journal.Entry, reason error) error {
	if len(entries) == 1 {
		return f.deadLetter(ctx, entries[0], reason)
	}
	f.log.WarnContext(ctx, "batch has a bad entry, flushing each half by itself", "error", reason, "entries", len(entries))
	for _, half := range [][]journal.Entry{entries[:len(entries)/2], entries[len(entries)/2:]} {
		err := f.apply(ctx, half)
		if store.IsRowError(err) {
			err = f.split(ctx, half, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deadLetter makes a dead letter of an entry that SQL cannot take, and advances the offset beyond it.
func (f *StockFlusher) deadLetter(ctx context.Context, e journal.Entry, err error) error {
	f.log.ErrorContext(ctx, "SQL cannot take a journal entry; it is in failed_orders", "entry_id", e.ID, "order_id", e.OrderID, "error", err)
	if cerr := f.snapshots.sources.completeEntry(ctx, &e); cerr != nil {
		return cerr
	}
	payload, merr := journal.MarshalDeadLetter(e)
	if merr != nil {
		return merr
	}
	if e.OrderID != "" {
		f.progress.MarkNotApplied(e.OrderID)
	}
	dead := store.DeadLetter{OrderID: string(e.OrderID), Reason: err.Error(), Payload: payload, TraceID: wire.TraceID(e.Trace)}
	if e.Kind == journal.Settled {
		dead.OrderID = "" // Its reservation took units. A release returns none while a dead letter of the flusher names its order.
	}
	return f.skip(ctx, e.ID, dead)
}

// poisoned makes a dead letter of an entry that cannot be read; other errors it returns.
func (f *StockFlusher) poisoned(ctx context.Context, err error) (int, error) {
	var poison *journal.PoisonError
	if !errors.As(err, &poison) {
		f.offset = journal.Offset{}
		return 0, err
	}
	if cerr := f.snapshots.sources.completePoison(ctx, poison); cerr != nil {
		return 0, cerr
	}
	payload, merr := journal.MarshalPoison(poison)
	if merr != nil {
		return 0, merr
	}
	f.log.ErrorContext(ctx, "a journal entry cannot be read; it is in failed_orders", "entry_id", poison.ID, "error", err)
	dead := store.DeadLetter{Reason: err.Error(), Payload: payload, TraceID: wire.TraceID(poison.Raw["trace"])}
	// A release returns no units while a dead letter of the flusher names its order, so only the dead letter of a reservation names it.
	if id, err := order.ParseID(poison.Raw["order"]); err == nil && journal.Kind(poison.Raw["kind"]) == journal.Reserved {
		dead.OrderID = string(id)
	}
	return 1, f.skip(ctx, poison.ID, dead)
}

// skip writes the dead letter of an entry and advances the offset beyond it, in one transaction.
func (f *StockFlusher) skip(ctx context.Context, entryID string, dead store.DeadLetter) error {
	at := journal.Offset{Epoch: f.offset.Epoch, ID: entryID}
	dead.DedupKey = store.EntryKey{Partition: f.cfg.Partition, Epoch: f.offset.Epoch, ID: entryID}.String()
	dead.Source, dead.PayloadType, dead.Attempts = store.FlusherSource, journal.DeadLetterType, 1
	if err := f.store.SkipEntry(ctx, f.rangeOf(entryID, entryID, 1), dead); err != nil {
		f.offset = journal.Offset{}
		return err
	}
	f.advance(at)
	return nil
}

func (f *StockFlusher) rangeOf(first, last string, entries int) store.Range {
	return store.Range{
		Partition: f.cfg.Partition, Epoch: f.offset.Epoch, PrevID: f.offset.ID, FirstID: first, LastID: last, Entries: entries,
		Durability: f.cfg.Durability,
	}
}

func (f *StockFlusher) apply(ctx context.Context, entries []journal.Entry) (err error) {
	ctx, span := tracing.StartBatch(ctx, scope, spanFlushBatch, len(entries), linksOf(entries, traceOfEntry))
	defer func() { tracing.End(span, err) }()
	last := entries[len(entries)-1].ID
	r := f.rangeOf(entries[0].ID, last, len(entries))
	if err := include(&r, entries, f.cfg.WithOrders); err != nil {
		return err
	}
	out, err := f.store.FlushRange(ctx, r)
	if err != nil {
		return err
	}
	for _, d := range out.Duplicates {
		f.progress.MarkNotApplied(d.ID)
	}
	for _, d := range out.Refused {
		f.progress.MarkNotApplied(d.ID)
	}
	if len(out.ReturnedBefore) > 0 {
		f.log.ErrorContext(ctx, "journal returns units a second time, because Redis lost the first return; rebuilding the counters",
			"orders", out.ReturnedBefore, "epoch", r.Epoch)
		f.onInconsistency(r.Epoch)
	}
	if len(out.NotCancelled) > 0 {
		f.log.ErrorContext(ctx, "journal returns units of orders that SQL has not cancelled, because SQL lost their cancellation; rebuilding the counters",
			"orders", out.NotCancelled, "epoch", r.Epoch)
		f.onInconsistency(r.Epoch)
	}
	f.advance(journal.Offset{Epoch: r.Epoch, ID: last})
	return nil
}

func (f *StockFlusher) prune(ctx context.Context) error {
	if f.flushes++; f.flushes%pruneInterval != 0 {
		return nil
	}
	return f.store.PruneDedupLog(ctx, f.cfg.Partition, f.cfg.KeepLogRows)
}
