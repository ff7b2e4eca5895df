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
	"github.com/spillway/spillway/tracing"
	"github.com/spillway/spillway/wire"
)

// FlushConfig sets up a StockFlusher.
type FlushConfig struct {
	Partition uint8
	// Batch is how many journal entries go into one transaction at most.
	Batch int64
	// Block is how long one iteration waits for a first entry.
	Block time.Duration
	// WithOrders writes the orders' rows in the transaction of their stock: durability sql.
	WithOrders bool
	// Durability is the setting that the epoch must have; an epoch with another one is not flushed.
	Durability string
	// KeepLogRows is how many rows of the dedup log are kept. Until an order's row is written, only the log records that its units were
	// deducted; so the log must reach further back than the order writer may be behind.
	KeepLogRows int
}

// DefaultFlushConfig takes 1,000 entries a transaction, so that its statements and its commit are 0.01 an order of two entries. It reads them
// in one reply of about 700 kB, logs them in a row of about 50 kB, and holds the lock of the offset and of the products for some 20 ms.
// With durability sql, the orders of 1,000 entries are 25,000 of the 32,766 variables that a statement may have in SQLite.
func DefaultFlushConfig() FlushConfig {
	return FlushConfig{Batch: 1000, Block: 500 * time.Millisecond, KeepLogRows: 2000, Durability: store.DurabilityJournal}
}

// pruneInterval is the number of flushes between two prunings of the dedup log.
const pruneInterval = 1000

// FlushStore applies ranges of the journal to SQL, and reads the epochs and their offsets.
type FlushStore interface {
	OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error)
	EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error)
	FlushRange(ctx context.Context, r store.Range) (store.Outcome, error)
	SkipEntry(ctx context.Context, r store.Range, f store.DeadLetter) error
	PruneDedupLog(ctx context.Context, partition uint8, keep int) error
}

// StockFlusher applies each journal entry to SQL exactly once: the transaction advances the journal offset in SQL by compare-and-set, so
// that of two flushers one wins and the other continues from the new offset. It applies at most FlushConfig.Batch entries a
// transaction; if SQL cannot take one of them, it halves the batch until it finds that one, and makes a dead letter of it.
type StockFlusher struct {
	cfg             FlushConfig
	journal         *journal.Journal
	store           FlushStore
	snapshots       completer
	progress        *journal.Progress
	log             *slog.Logger
	onInconsistency func(epoch int64)

	offset  journal.Offset // the offset in SQL as last read or written; Epoch 0 if it must be read again
	flushes int
	pace    Pace
	ahead   readAhead
}

// NewStockFlusher makes a flusher. It is not safe for concurrent use: each Run needs its own. Several may run.
func NewStockFlusher(
	cfg FlushConfig, j *journal.Journal, st FlushStore, snapshots SnapshotSources, progress *journal.Progress, log *slog.Logger,
) *StockFlusher {
	return &StockFlusher{
		cfg: cfg, journal: j, store: st, snapshots: newCompleter(snapshots), progress: progress, log: log.With("worker", "stock_flusher"),
		onInconsistency: func(int64) {},
	}
}

// OnInconsistency sets the function that is called when an epoch's journal contradicts SQL, so that its counters must be rebuilt.
func (f *StockFlusher) OnInconsistency(onInconsistency func(epoch int64)) *StockFlusher {
	f.onInconsistency = onInconsistency
	return f
}

// WithPace sets when iterations begin. It is called before Run.
func (f *StockFlusher) WithPace(p Pace) *StockFlusher {
	f.pace = p
	return f
}

// Run flushes until ctx ends. Entries that are not flushed by then stay in the journal for the next flusher.
func (f *StockFlusher) Run(ctx context.Context) {
	loop(ctx, f.log, f.pace.paced(int(f.cfg.Batch), f.RunOnce))
}

// RunOnce flushes one batch and returns its number of entries. It waits up to FlushConfig.Block for the first one. While a full batch is
// committed, it reads the next one.
func (f *StockFlusher) RunOnce(ctx context.Context) (int, error) {
	if f.offset.Epoch == 0 {
		if err := f.loadOffset(ctx); err != nil || f.offset.Epoch == 0 {
			return 0, err
		}
	}
	entries, err := f.next(ctx)
	if errors.Is(err, journal.ErrTrimmed) {
		return 0, f.trimmed(ctx, err)
	}
	if err != nil {
		return f.poisoned(ctx, err)
	}
	if len(entries) == 0 {
		f.offset = journal.Offset{} // Another epoch may be open by now.
		return 0, nil
	}
	if int64(len(entries)) < f.cfg.Batch {
		return len(entries), f.flush(ctx, entries)
	}
	join := f.readAhead(ctx, journal.Offset{Epoch: f.offset.Epoch, ID: entries[len(entries)-1].ID})
	defer join()
	return len(entries), f.flush(ctx, entries)
}

// Drain flushes the remaining entries of an epoch's journal, to which no entry is added any more.
func (f *StockFlusher) Drain(ctx context.Context, epoch int64) error {
	for {
		e, err := f.store.EpochAt(ctx, f.cfg.Partition, epoch)
		if err != nil {
			return err
		}
		if e.Closed && !e.Undrained {
			return nil // It was drained before it was closed; no further entry of it may be applied.
		}
		if _, err := relayAgain(ctx, f.journal, f.store, f.cfg.Partition, e, f.log); err != nil {
			return err
		}
		f.offset = journal.Offset{Epoch: epoch, ID: e.LastID}
		entries, err := f.rest(ctx, e)
		switch {
		case errors.Is(err, errOvertaken):
			continue
		case err != nil:
			if _, err = f.poisoned(ctx, err); err != nil {
				return err
			}
			continue
		case len(entries) == 0:
			return nil
		}
		if err := f.flush(ctx, entries); err != nil && !errors.Is(err, store.ErrFlushConflict) {
			return err
		}
	}
}

// errOvertaken means that another flusher has moved the offset.
var errOvertaken = errors.New("another flusher has applied the entries")

// rest reads the next entries of an epoch's journal after SQL's offset; what is left of them if SQL lost commits. It returns errOvertaken if they are
// trimmed because another flusher has applied them.
func (f *StockFlusher) rest(ctx context.Context, e journal.Epoch) ([]journal.Entry, error) {
	entries, err := f.journal.Read(ctx, e.Number, e.LastID, f.cfg.Batch)
	if !errors.Is(err, journal.ErrTrimmed) {
		return entries, err
	}
	now, readErr := f.store.EpochAt(ctx, f.cfg.Partition, e.Number)
	switch {
	case readErr != nil:
		return nil, readErr
	case now.LastID != e.LastID:
		return nil, errOvertaken
	}
	f.log.ErrorContext(
		ctx,
		"SQL lost commits: the journal is trimmed beyond the offset in SQL; run the audit",
		"epoch",
		e.Number,
		"offset",
		e.LastID,
		"error",
		err,
	)
	return f.journal.ReadRemaining(ctx, e.Number, e.LastID, f.cfg.Batch)
}

// trimmed finds out why entries after the offset are trimmed. If another flusher has applied them, this one continues from the new
// offset. Otherwise SQL lost commits, and trimmed reports the inconsistency, so that the epoch is closed.
func (f *StockFlusher) trimmed(ctx context.Context, cause error) error {
	before := f.offset
	f.offset = journal.Offset{}
	if err := f.loadOffset(ctx); err != nil || f.offset != before {
		return err
	}
	f.offset = journal.Offset{}
	f.onInconsistency(before.Epoch)
	return fmt.Errorf("SQL lost commits: %w", cause)
}

// loadOffset reads the open epoch and its offset from SQL.
func (f *StockFlusher) loadOffset(ctx context.Context) error {
	e, err := f.store.OpenEpoch(ctx, f.cfg.Partition)
	if errors.Is(err, journal.ErrNoEpoch) {
		sleep(ctx, f.cfg.Block)
		return fmt.Errorf("no epoch is open yet: %w", err)
	}
	if err != nil {
		return err
	}
	if e.Durability != f.cfg.Durability {
		return fmt.Errorf("the epoch runs with durability %q, this flusher with %q: %w", e.Durability, f.cfg.Durability, journal.ErrDurability)
	}
	if e.Mode == journal.ModeSQL { // It has no journal. Waiters for earlier epochs are to read SQL.
		f.progress.Set(journal.Offset{Epoch: e.Number, ID: e.LastID})
		sleep(ctx, f.cfg.Block)
		return nil
	}
	if _, err := relayAgain(ctx, f.journal, f.store, f.cfg.Partition, e, f.log); err != nil {
		return err
	}
	f.offset = journal.Offset{Epoch: e.Number, ID: e.LastID}
	f.progress.Set(f.offset)
	return nil
}

// advance records the offset that this flusher has flushed to.
func (f *StockFlusher) advance(at journal.Offset) {
	from := f.offset
	f.offset = at
	f.progress.Flushed(from, at)
}

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
