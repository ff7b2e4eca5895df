package pipeline

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
)

// readTimeout bounds the reading of SQL, and that of Redis: a view is made of what can be read within two of them.
const readTimeout = 1500 * time.Millisecond

// Sources are what a view is read from.
type Sources struct {
	Partition uint8
	// Report returns the newest report of this process.
	Report func() Report
	// Reports reads those of all processes; nil if this one is the whole shop.
	Reports func(ctx context.Context) ([]Report, error)
	// Epoch returns the epoch of this process, or why it has none.
	Epoch func() (journal.Epoch, error)
	// OpenEpoch reads the epoch in SQL, with the offset of the flusher.
	OpenEpoch func(ctx context.Context, partition uint8) (journal.Epoch, error)
	// Readers reads how far the readers of the journal are behind.
	Readers func(ctx context.Context, flushed journal.Offset) (journal.Readers, error)
	// Backlog reads what waits in SQL, DeadLetters the open dead letters by source.
	Backlog     func(ctx context.Context) (store.Backlog, error)
	DeadLetters func(ctx context.Context) (map[string]int64, error)
	// JournalLimit is the number of entries from which on orders are refused.
	JournalLimit int64
	Log          *slog.Logger
}

// Viewer reads views. It is safe for concurrent use.
type Viewer struct {
	src Sources
	now func() time.Time
}

// NewViewer makes a viewer.
func NewViewer(src Sources) *Viewer { return &Viewer{src: src, now: time.Now} }

// View reads the shop. It takes at most two readTimeouts, and has no error: what could not be read is absent.
func (v *Viewer) View(ctx context.Context) View {
	p := Partition{Number: v.src.Partition, JournalLimit: v.src.JournalLimit}
	waits := make(map[Stage]waiting)
	var unavailable []string
	letters, err := v.readSQL(ctx, &p, waits)
	if err != nil {
		v.src.Log.DebugContext(ctx, "failed to read SQL for watchers of the pipeline", "error", err)
		unavailable = append(unavailable, sourceSQL)
	}
	reports, err := v.readRedis(ctx, &p, waits)
	if err != nil {
		v.src.Log.DebugContext(ctx, "failed to read Redis for watchers of the pipeline", "error", err)
		unavailable = append(unavailable, sourceRedis)
	}
	out := newView(v.now(), reports, waits)
	out.Partition, out.DeadLetters, out.Unavailable, out.Self = p, letters, unavailable, v.src.Report().ID
	if epoch, err := v.src.Epoch(); err != nil {
		out.Partition.ClosedReason = err.Error()
	} else {
		out.Partition.Epoch = epoch
	}
	return out
}

// readSQL reads the flusher's offset, what waits, and the open dead letters.
func (v *Viewer) readSQL(ctx context.Context, p *Partition, waits map[Stage]waiting) (letters map[string]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	epoch, err := v.src.OpenEpoch(ctx, p.Number)
	if err != nil {
		return nil, err
	}
	p.Flushed = journal.Offset{Epoch: epoch.Number, ID: epoch.LastID}
	backlog, err := v.src.Backlog(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(waits, inSQL(backlog))
	return v.src.DeadLetters(ctx)
}

// readRedis reads the journal's readers and the reports of all processes. Without Redis it returns that of this process alone.
func (v *Viewer) readRedis(ctx context.Context, p *Partition, waits map[Stage]waiting) ([]Report, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	self := []Report{v.src.Report()}
	readers, err := v.src.Readers(ctx, p.Flushed)
	if err != nil {
		return self, err
	}
	p.Readers = &readers
	waits[Relay] = waiting{count: readers.Relay.Entries, since: readers.Relay.Oldest}
	if p.Flushed.Epoch > 0 {
		waits[Flush] = waiting{count: readers.Flusher.Entries, since: readers.Flusher.Oldest}
	}
	if v.src.Reports == nil {
		return self, nil
	}
	reports, err := v.src.Reports(ctx)
	if err != nil {
		return self, err
	}
	return withSelf(reports, self[0]), nil
}

// withSelf replaces the report of this process by its newest one, or adds it.
func withSelf(reports []Report, self Report) []Report {
	if i := slices.IndexFunc(reports, func(r Report) bool { return r.ID == self.ID }); i >= 0 {
		reports[i] = self
		return reports
	}
	return append(reports, self)
}
