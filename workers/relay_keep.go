package workers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
)

const (
	// trimInterval is the time between two trims of a journal with entries that are kept.
	trimInterval = time.Second
	// maxTrimGap is the time without a read of SQL's offset after which the entries are kept anew: SQL may have been away, and only what was sent long
	// before that is safe. It is longer than a batch takes.
	maxTrimGap = 3 * time.Second
	// maxKeepRatio: a journal with so many times KeepMax entries is trimmed to what is not sent.
	maxKeepRatio = 4
)

// keptJournal is a journal of which the relay keeps the entries that it has sent.
type keptJournal struct {
	// points are up to which entries were sent at a time, oldest first, at most one each trimInterval of RelayConfig.Keep.
	points []trimPoint
	// checked is when SQL's offset was read last.
	checked time.Time
}

type trimPoint struct {
	at time.Time
	id string
}

// add notes that SQL has applied, and the relay has sent, the entries before the id. An id before the last one means that entries are sent again.
func (k *keptJournal) add(now time.Time, id string) {
	if n := len(k.points); now.Sub(k.checked) > maxTrimGap || n > 0 && journal.CompareIDs(id, k.points[n-1].id) < 0 {
		k.points = nil
	}
	k.checked = now
	if n := len(k.points); n == 0 || journal.CompareIDs(k.points[n-1].id, id) < 0 {
		k.points = append(k.points, trimPoint{now, id})
	}
}

// due returns the id before which entries were sent longer than keep ago, or are more than there may be by after; empty if there are none.
func (k *keptJournal) due(now time.Time, keep time.Duration, keepMax int64, after func(id string) int64) (id string) {
	n := 0
	for n < len(k.points) && (now.Sub(k.points[n].at) >= keep || after(k.points[n].id) > keepMax) {
		id = k.points[n].id
		n++
	}
	k.points = k.points[n:]
	return id
}

// trimKept trims the entries that were sent longer than RelayConfig.Keep ago. It trims nothing while SQL cannot be read: entries are kept for the SQL that
// comes back.
func (r *OrderRelay) trimKept(ctx context.Context, epoch int64, sent string) error {
	now, k := r.now(), r.kept[epoch]
	if k == nil {
		k = &keptJournal{checked: now}
		r.kept[epoch] = k
	} else if now.Sub(k.checked) < trimInterval {
		return nil
	}
	e, err := r.store.EpochAt(ctx, r.cfg.Partition, epoch)
	if err != nil {
		return fmt.Errorf("read the flusher's offset: %w", err)
	}
	if again, err := relayAgain(ctx, r.journal, r.store, r.cfg.Partition, e, r.log); again || err != nil {
		delete(r.kept, epoch)
		return err
	}
	if journal.CompareIDs(e.LastID, sent) < 0 {
		sent = e.LastID
	}
	k.add(now, sent)
	lengths, err := r.journal.Lengths(ctx, epoch)
	if err != nil {
		return err
	}
	id := k.due(now, r.cfg.Keep, r.cfg.KeepMax, lengths.After)
	if lengths.All() > maxKeepRatio*r.cfg.KeepMax {
		id = sent // The estimates are wrong after a burst, and orders must not be refused for what is kept.
	}
	if id != "" {
		_, err = r.journal.Trim(ctx, epoch, id)
	}
	if len(k.points) == 0 {
		delete(r.kept, epoch)
	}
	return err
}

// relayAgain makes the relay send again what is kept of an epoch's journal if SQL, of which e was read, is behind what the relay has sent: SQL has lost
// commits, and so may have lost rows of earlier entries. The flusher applies what is after SQL's offset again by itself. It returns whether it did.
func relayAgain(ctx context.Context, j *journal.Journal, st RelayStore, partition uint8, e journal.Epoch, log *slog.Logger) (bool, error) {
	sent, err := j.Sent(ctx, e.Number)
	if err != nil || journal.CompareIDs(sent, e.LastID) <= 0 {
		return false, err
	}
	now, err := st.EpochAt(ctx, partition, e.Number) // It may have moved on since, and the relay followed.
	if err != nil || journal.CompareIDs(sent, now.LastID) <= 0 {
		return false, err
	}
	if now.Closed && !now.Undrained {
		return false, nil // The relay acknowledged what is beyond without sending it: see dropUnflushed.
	}
	again, err := j.RelayAgain(ctx, e.Number, now.LastID)
	if again {
		log.ErrorContext(ctx, "SQL lost commits; flushing and relaying again what the journal still has; run the audit",
			"epoch", e.Number, "offset", now.LastID, "sent", sent)
	}
	return again, err
}
