package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// FlushConfig sets up a StockFlusher.
type FlushConfig struct {
	Partition uint8
	// Batch is how many journal entries go into one transaction at most.
	Batch int64
	// Block is how long one turn waits for a first entry.
	Block time.Duration
	// WithOrders writes the orders' rows in the transaction of their stock: durability sql.
	WithOrders bool
	// Durability is the setting as the epoch records it; an epoch of another one is not flushed.
	Durability string
	// KeepLog is how many rows of the dedup log are kept. They say whose stock was taken until the orders' rows are written, so
	// there must be more than the order writer may be behind.
	KeepLog int
}

// DefaultFlushConfig takes 200 entries: beyond that a transaction grows longer without getting cheaper per entry.
func DefaultFlushConfig() FlushConfig {
	return FlushConfig{Batch: 200, Block: 500 * time.Millisecond, KeepLog: 2000, Durability: store.DurabilityJournal}
}

// pruneEvery is after how many flushes the dedup log is pruned.
const pruneEvery = 1000

// FlushStore is what a StockFlusher needs of SQL.
type FlushStore interface {
	OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error)
	EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error)
	FlushRange(ctx context.Context, r store.Range) (store.Outcome, error)
	SkipEntry(ctx context.Context, r store.Range, f store.DeadLetter) error
	PruneDedupLog(ctx context.Context, partition uint8, keep int) error
}

// StockFlusher applies each journal entry to SQL exactly once: the transaction moves the place in the journal by
// compare-and-set, so of two flushers one wins and the other reads on from there.
type StockFlusher struct {
	cfg      FlushConfig
	journal  *journal.Journal
	store    FlushStore
	progress *journal.Progress
	log      *slog.Logger
	distrust func(epoch int64)

	at      journal.Offset // the place in SQL as last seen; Epoch 0 when it must be read again
	flushes int
}

// NewStockFlusher makes a flusher. It is not safe for concurrent use: each loop has its own.
func NewStockFlusher(cfg FlushConfig, j *journal.Journal, st FlushStore, progress *journal.Progress, log *slog.Logger) *StockFlusher {
	return &StockFlusher{cfg: cfg, journal: j, store: st, progress: progress, log: log.With("worker", "stock_flusher"), distrust: func(int64) {}}
}

// Distrusting sets what is called when an epoch's journal contradicts SQL, so that its counters must be rebuilt.
func (f *StockFlusher) Distrusting(distrust func(epoch int64)) *StockFlusher {
	f.distrust = distrust
	return f
}

// Run flushes until ctx ends. What is then in the journal stays there for the next flusher.
func (f *StockFlusher) Run(ctx context.Context) { loop(ctx, f.log, f.RunOnce) }

// RunOnce flushes one batch and returns how many entries it took.
func (f *StockFlusher) RunOnce(ctx context.Context) (int, error) {
	if f.at.Epoch == 0 {
		if err := f.locate(ctx); err != nil {
			return 0, err
		}
	}
	entries, err := f.journal.Await(ctx, f.at.Epoch, f.at.ID, f.cfg.Batch, f.cfg.Block)
	if errors.Is(err, journal.ErrTrimmed) {
		return 0, f.trimmed(ctx, err)
	}
	if err != nil {
		return f.poisoned(ctx, err)
	}
	if len(entries) == 0 {
		f.at = journal.Offset{} // Perhaps another epoch is open by now.
		return 0, nil
	}
	return len(entries), f.flush(ctx, entries)
}

// Drain flushes what the journal of an epoch still holds. No entry is added to it any more.
func (f *StockFlusher) Drain(ctx context.Context, epoch int64) error {
	for {
		e, err := f.store.EpochAt(ctx, f.cfg.Partition, epoch)
		if err != nil {
			return err
		}
		if e.Closed {
			return nil // Whoever closed it has drained it; nothing of it is applied any more.
		}
		f.at = journal.Offset{Epoch: epoch, ID: e.LastID}
		entries, err := f.journal.Read(ctx, epoch, e.LastID, f.cfg.Batch)
		if errors.Is(err, journal.ErrTrimmed) {
			now, lookErr := f.store.EpochAt(ctx, f.cfg.Partition, epoch)
			if lookErr != nil {
				return lookErr
			}
			if now.LastID != e.LastID {
				continue // Another flusher applied them meanwhile.
			}
			f.log.ErrorContext(ctx, "SQL lost commits: entries that it had applied are gone from the journal; run the audit", "epoch", epoch, "offset", e.LastID, "error", err)
			entries, err = f.journal.ReadRemaining(ctx, epoch, e.LastID, f.cfg.Batch)
		}
		if err != nil {
			if _, err = f.poisoned(ctx, err); err != nil {
				return err
			}
			continue
		}
		if len(entries) == 0 {
			return nil
		}
		if err := f.flush(ctx, entries); err != nil && !errors.Is(err, store.ErrFlushConflict) {
			return err
		}
	}
}

// trimmed finds out why entries after the offset are gone: another flusher applied them, or SQL lost commits. Then this flusher must not
// continue behind them: the epoch is closed.
func (f *StockFlusher) trimmed(ctx context.Context, cause error) error {
	before := f.at
	f.at = journal.Offset{}
	if err := f.locate(ctx); err != nil || f.at != before {
		return err
	}
	f.at = journal.Offset{}
	f.distrust(before.Epoch)
	return fmt.Errorf("SQL lost commits: %w", cause)
}

func (f *StockFlusher) locate(ctx context.Context) error {
	e, err := f.store.OpenEpoch(ctx, f.cfg.Partition)
	if errors.Is(err, journal.ErrNoEpoch) {
		sleep(ctx, f.cfg.Block)
		return fmt.Errorf("no epoch was opened yet: %w", err)
	}
	if err != nil {
		return err
	}
	if e.Durability != f.cfg.Durability {
		return fmt.Errorf("the epoch runs with durability %q, this flusher with %q: %w", e.Durability, f.cfg.Durability, journal.ErrDurability)
	}
	f.at = journal.Offset{Epoch: e.Number, ID: e.LastID}
	f.progress.Set(f.at)
	return nil
}

// moved notes what this flusher has flushed.
func (f *StockFlusher) moved(at journal.Offset) {
	from := f.at
	f.at = at
	f.progress.Flushed(from, at)
}

// flush applies the entries in one transaction, or one by one when a row of them is bad.
func (f *StockFlusher) flush(ctx context.Context, entries []journal.Entry) error {
	err := f.apply(ctx, entries)
	switch {
	case err == nil:
		return f.prune(ctx)
	case errors.Is(err, store.ErrFlushConflict):
		// Another flusher was faster, or the epoch was closed. What it did is done: read on from there.
		f.at = journal.Offset{}
		return f.locate(ctx)
	case !store.IsRowError(err):
		f.at = journal.Offset{}
		return err
	}
	f.log.WarnContext(ctx, "a batch has a bad entry; flushing one by one", "error", err, "entries", len(entries))
	for _, e := range entries {
		if err := f.flushOne(ctx, e); err != nil {
			f.at = journal.Offset{}
			return err
		}
	}
	return nil
}

// flushOne applies one entry; one that SQL cannot take is put aside with its reason, and the place moves on (I10).
func (f *StockFlusher) flushOne(ctx context.Context, e journal.Entry) error {
	err := f.apply(ctx, []journal.Entry{e})
	if err == nil || !store.IsRowError(err) {
		return err
	}
	f.log.ErrorContext(ctx, "SQL cannot take a journal entry; it is in failed_orders", "entry", e.ID, "order", e.OrderID, "error", err)
	payload, merr := journal.MarshalDeadLetter(e)
	if merr != nil {
		return merr
	}
	if e.OrderID != "" {
		f.progress.MarkNotApplied(e.OrderID)
	}
	return f.skip(ctx, e.ID, store.DeadLetter{OrderID: string(e.OrderID), Reason: err.Error(), Payload: payload, TraceID: wire.TraceID(e.Trace)})
}

// poisoned puts an entry aside that cannot even be read.
func (f *StockFlusher) poisoned(ctx context.Context, err error) (int, error) {
	var poison *journal.PoisonError
	if !errors.As(err, &poison) {
		f.at = journal.Offset{}
		return 0, err
	}
	payload, merr := journal.MarshalPoison(poison)
	if merr != nil {
		return 0, merr
	}
	f.log.ErrorContext(ctx, "a journal entry cannot be read; it is in failed_orders", "entry", poison.ID, "error", err)
	letter := store.DeadLetter{Reason: err.Error(), Payload: payload, TraceID: wire.TraceID(poison.Raw["trace"])}
	// A release gives nothing back while a letter of the flusher names its order, so only a lost reservation may name it.
	if id, err := order.ParseID(poison.Raw["order"]); err == nil && journal.Kind(poison.Raw["kind"]) == journal.Reserved {
		letter.OrderID = string(id)
	}
	return 1, f.skip(ctx, poison.ID, letter)
}

func (f *StockFlusher) skip(ctx context.Context, entryID string, letter store.DeadLetter) error {
	at := journal.Offset{Epoch: f.at.Epoch, ID: entryID}
	letter.DedupKey = store.EntryKey{Partition: f.cfg.Partition, Epoch: f.at.Epoch, ID: entryID}.String()
	letter.Source, letter.PayloadType, letter.Attempts = store.FlusherSource, journal.DeadLetterType, 1
	if err := f.store.SkipEntry(ctx, f.rangeOf(entryID, entryID, 1), letter); err != nil {
		f.at = journal.Offset{}
		return err
	}
	f.moved(at)
	return nil
}

func (f *StockFlusher) rangeOf(first, last string, entries int) store.Range {
	return store.Range{
		Partition: f.cfg.Partition, Epoch: f.at.Epoch, PrevID: f.at.ID, FirstID: first, LastID: last, Entries: entries,
		Durability: f.cfg.Durability,
	}
}

func (f *StockFlusher) apply(ctx context.Context, entries []journal.Entry) error {
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
		f.log.ErrorContext(ctx, "units of orders were to return a second time: Redis lost that they had; its counters are rebuilt",
			"orders", out.ReturnedBefore, "epoch", r.Epoch)
		f.distrust(r.Epoch)
	}
	f.moved(journal.Offset{Epoch: r.Epoch, ID: last})
	return nil
}

func (f *StockFlusher) prune(ctx context.Context) error {
	if f.flushes++; f.flushes%pruneEvery != 0 {
		return nil
	}
	return f.store.PruneDedupLog(ctx, f.cfg.Partition, f.cfg.KeepLog)
}
