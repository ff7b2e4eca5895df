package workers

import (
	"context"

	"github.com/spillway/spillway/journal"
)

// readAhead is a batch that was read while the one before it was committed. It is at most one batch, and is used only if SQL's offset is
// exactly where it begins: the compare-and-set of the offset decides as before, and another flusher, a bad entry or another epoch makes
// it worthless.
type readAhead struct {
	after   journal.Offset
	entries []journal.Entry
}

// next returns the batch that was read ahead, or reads one.
func (f *StockFlusher) next(ctx context.Context) ([]journal.Entry, error) {
	ahead := f.ahead
	f.ahead = readAhead{}
	if len(ahead.entries) > 0 && ahead.after == f.offset {
		return ahead.entries, nil
	}
	return f.journal.Await(ctx, f.offset.Epoch, f.offset.ID, f.cfg.Batch, f.cfg.Block)
}

// readAhead begins to read the batch after the offset. The caller calls join, which waits for it, before the next iteration. Errors are left
// to the next iteration, which then reads the same entries itself.
func (f *StockFlusher) readAhead(ctx context.Context, after journal.Offset) (join func()) {
	read := make(chan []journal.Entry, 1)
	go func() {
		entries, err := f.journal.Read(ctx, after.Epoch, after.ID, f.cfg.Batch)
		if err != nil {
			entries = nil
		}
		read <- entries
	}()
	return func() { f.ahead = readAhead{after: after, entries: <-read} }
}
