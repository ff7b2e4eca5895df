package workers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
	"github.com/spillway/spillway/wire"
)

// relay sends the entries and acknowledges them, or holds them for the next iteration.
func (r *OrderRelay) relay(ctx context.Context, epoch int64, entries []journal.Entry) (int, error) {
	n, err := r.send(ctx, epoch, entries)
	if err != nil {
		r.held[epoch] = entries
		return 0, err
	}
	delete(r.held, epoch)
	return n, nil
}

// releaseHeld lets other relays claim the held entries at once, also when ctx has ended. It is best effort: otherwise they claim them after
// RelayConfig.ClaimIdle. This relay still holds them, for an iteration that follows.
func (r *OrderRelay) releaseHeld(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for epoch, entries := range r.held {
		if len(entries) == 0 {
			continue
		}
		if err := r.journal.Release(ctx, epoch, r.cfg.Consumer, r.cfg.ClaimIdle, entryIDs(entries)); err != nil {
			r.log.WarnContext(ctx, "failed to release entries; another relay claims them later",
				"epoch", epoch, "entries", len(entries), "claimed_after", r.cfg.ClaimIdle, "error", err)
		}
	}
}

func entryIDs(entries []journal.Entry) []string {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return ids
}

func (r *OrderRelay) send(ctx context.Context, epoch int64, entries []journal.Entry) (int, error) {
	if len(entries) == 0 {
		return 0, nil
	}
	inSQL, err := r.flushed(ctx, epoch, entries)
	if err != nil {
		return 0, err
	}
	began, links := time.Now(), linksOf(inSQL, traceOfEntry)
	ctx, span := tracing.StartBatch(ctx, scope, spanRelayBatch, len(inSQL), links)
	sent, err := r.sendFlushed(ctx, epoch, entries, inSQL)
	if err == nil && links.Any() {
		tracing.RecordSteps(ctx, scope, spanRelay, began, entrySteps(lastEvents(sent)))
	}
	tracing.End(span, err)
	if err != nil {
		return 0, err
	}
	return len(entries), nil
}

// sendFlushed sends those of the entries that are in SQL, acknowledges all, and returns those that were sent.
func (r *OrderRelay) sendFlushed(ctx context.Context, epoch int64, entries, inSQL []journal.Entry) ([]journal.Entry, error) {
	whole, err := r.complete(ctx, epoch, inSQL)
	if err != nil {
		return nil, err
	}
	if err := r.writeAgain(ctx, epoch, whole); err != nil {
		return nil, err
	}
	messages, err := envelopes(whole)
	if err != nil {
		r.log.ErrorContext(ctx, "events cannot be marshalled; the order repairer applies them from Redis", "error", err)
	}
	if len(messages) > 0 {
		if err := r.producer.Send(ctx, r.cfg.Topic, messages...); err != nil {
			return nil, fmt.Errorf("send %d events: %w", len(whole), err)
		}
	}
	return whole, r.journal.Ack(ctx, epoch, entryIDs(entries))
}

// complete adds the snapshots to the settled entries and returns the entries to be sent. It makes a dead letter of an entry whose order is
// neither in Redis nor in SQL, and omits it.
func (r *OrderRelay) complete(ctx context.Context, epoch int64, entries []journal.Entry) ([]journal.Entry, error) {
	if err := r.snapshots.complete(ctx, entries); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(entries, lacksSnapshot) {
		return entries, nil
	}
	kept := entries[:0:0]
	for _, e := range entries {
		if !lacksSnapshot(e) {
			kept = append(kept, e)
			continue
		}
		if err := r.deadLetter(ctx, epoch, e); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// orderRelaySource is the source of the order relay's dead letters.
const orderRelaySource = "order_relay"

// errNoOrder is the reason of the relay's dead letters.
var errNoOrder = errors.New("the order was paid, and neither Redis nor SQL has it any more")

// deadLetter makes a dead letter of a settled entry without snapshot. The flusher's dead letter of the same entry is the same.
func (r *OrderRelay) deadLetter(ctx context.Context, epoch int64, e journal.Entry) error {
	r.log.ErrorContext(ctx, "a paid order is neither in Redis nor in SQL; its entry is in failed_orders", "entry_id", e.ID, "order_id", e.OrderID)
	payload, err := journal.MarshalDeadLetter(e)
	if err != nil {
		return err
	}
	err = r.dead.Put(ctx, store.DeadLetter{
		DedupKey: store.EntryKey{Partition: r.cfg.Partition, Epoch: epoch, ID: e.ID}.String(), Source: orderRelaySource, OrderID: string(e.OrderID),
		Reason: errNoOrder.Error(), PayloadType: journal.DeadLetterType, Payload: payload, TraceID: wire.TraceID(e.Trace), Attempts: 1,
	})
	if err != nil {
		return fmt.Errorf("write to failed_orders: %w", err)
	}
	return nil
}

// flushed waits until the entries are flushed to SQL, and returns them. Of a closed epoch it returns only those that were flushed before
// Redis lost the others.
func (r *OrderRelay) flushed(ctx context.Context, epoch int64, entries []journal.Entry) ([]journal.Entry, error) {
	deadline := r.now().Add(r.cfg.FlushWait)
	last := entries[len(entries)-1].ID
	r.awaitProgress(ctx, journal.Offset{Epoch: epoch, ID: last}, 0)
	for interval := minFlushPollInterval; ; interval = min(2*interval, maxFlushPollInterval) {
		e, err := r.store.EpochAt(ctx, r.cfg.Partition, epoch)
		if err != nil {
			return nil, fmt.Errorf("read the flusher's offset: %w", err)
		}
		switch {
		case journal.CompareIDs(e.LastID, last) >= 0:
			return entries, nil
		case e.Closed && !e.Undrained:
			return r.dropUnflushed(ctx, epoch, entries, e.LastID)
		case r.now().After(deadline) || ctx.Err() != nil:
			return nil, fmt.Errorf("the stock flusher is at %s, before %s, for %s: is it running?", e.LastID, last, r.cfg.FlushWait)
		}
		r.awaitProgress(ctx, journal.Offset{Epoch: epoch, ID: last}, interval)
	}
}

// dropUnflushed omits entries of a closed epoch that were never flushed. It fails until the next epoch is open in this Redis, because Redis
// has the orders until then and rewinds them when it opens. The entries stay also if another Redis serves the shop.
func (r *OrderRelay) dropUnflushed(ctx context.Context, epoch int64, entries []journal.Entry, flushedTo string) ([]journal.Entry, error) {
	epochs, err := r.journal.Epochs(ctx)
	if err != nil {
		return nil, err
	}
	if len(epochs) > 0 && epochs[len(epochs)-1] <= epoch {
		return nil, errors.New("the epoch is closed in SQL, and this Redis has none after it")
	}
	kept := entries[:0:0]
	for _, e := range entries {
		if journal.CompareIDs(e.ID, flushedTo) <= 0 {
			kept = append(kept, e)
			continue
		}
		r.log.WarnContext(ctx, "order was lost by Redis before it was flushed to SQL", "order_id", e.OrderID, "entry_id", e.ID)
	}
	return kept, nil
}
