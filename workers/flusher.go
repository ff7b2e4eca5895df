package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
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
