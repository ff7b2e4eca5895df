package workers

import (
	"context"
	"errors"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
)

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
