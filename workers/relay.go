package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/queue"
)

// RelayConfig sets up an OrderRelay.
type RelayConfig struct {
	Partition uint8
	// Topic is where order events go.
	Topic string
	// Consumer names this relay among others; unique to its process.
	Consumer string
	// Batch is how many journal entries one turn takes, and so about how many events one message holds.
	Batch int64
	// Block is how long one turn waits for a first entry.
	Block time.Duration
	// ClaimIdle is after how long another relay's unacknowledged entries are taken over: longer than a send may take.
	ClaimIdle time.Duration
	// FlushWait bounds how long a turn holds entries whose stock is not in SQL yet. They are claimed again later.
	FlushWait time.Duration
}

// DefaultRelayConfig sends 200 events a message, about 120 kB.
func DefaultRelayConfig(topic, consumer string) RelayConfig {
	return RelayConfig{
		Topic: topic, Consumer: consumer, Batch: 200, Block: 500 * time.Millisecond,
		ClaimIdle: 15 * time.Second, FlushWait: 10 * time.Second,
	}
}

const (
	// maxMessageBytes bounds the events of one message; the broker takes 4 MiB.
	maxMessageBytes = 1 << 20
	// flushPollInterval is the pause between two looks at the flusher's place; a flush takes about as long.
	flushPollInterval = 5 * time.Millisecond
	// claimInterval is how often a relay looks for entries that another left behind.
	claimInterval = 2 * time.Second
)

// RelayStore is what an OrderRelay needs of SQL: how far the stock of an epoch is flushed.
type RelayStore interface {
	EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error)
}

// OrderRelay sends what the journal holds to the queue, many events in one message, and acknowledges an entry only
// after the broker said yes. It stays behind the stock flusher: an order whose stock is not in SQL could otherwise
// become a row although a wiped Redis sells its units again.
type OrderRelay struct {
	cfg       RelayConfig
	journal   *journal.Journal
	store     RelayStore
	producer  queue.Producer
	log       *slog.Logger
	now       func() time.Time
	lastClaim time.Time
	// held are the entries of each epoch that were read and could not be handed on. They come first in the next turn: claiming them
	// would take as long as if this relay had died.
	held map[int64][]journal.Entry
}

// NewOrderRelay makes a relay. It is not safe for concurrent use.
func NewOrderRelay(cfg RelayConfig, j *journal.Journal, st RelayStore, producer queue.Producer, log *slog.Logger) *OrderRelay {
	return &OrderRelay{cfg: cfg, journal: j, store: st, producer: producer, log: log.With("worker", "order_relay"), now: time.Now, held: make(map[int64][]journal.Entry)}
}

// Run relays until ctx ends.
func (r *OrderRelay) Run(ctx context.Context) { loop(ctx, r.log, r.RunOnce) }

// RunOnce relays one batch of each epoch that is not relayed to its end, and returns how many entries it took.
func (r *OrderRelay) RunOnce(ctx context.Context) (int, error) {
	epochs, err := r.journal.Epochs(ctx)
	if err != nil {
		return 0, err
	}
	claim := r.now().Sub(r.lastClaim) >= claimInterval
	if claim {
		r.lastClaim = r.now()
	}
	for epoch := range r.held {
		if !slices.Contains(epochs, epoch) {
			delete(r.held, epoch) // Redis lost it.
		}
	}
	total := 0
	for i, epoch := range epochs {
		n, err := r.relayEpoch(ctx, epoch, claim, i == len(epochs)-1)
		if err != nil {
			return total, fmt.Errorf("epoch %d: %w", epoch, err)
		}
		total += n
	}
	return total, nil
}

// relayEpoch relays one batch of an epoch. The newest one waits for entries; an older one that is at its end goes.
func (r *OrderRelay) relayEpoch(ctx context.Context, epoch int64, claim, newest bool) (int, error) {
	total, err := r.relay(ctx, epoch, r.held[epoch])
	if err != nil {
		return 0, err
	}
	if claim {
		entries, err := r.journal.Claim(ctx, epoch, r.cfg.Consumer, r.cfg.ClaimIdle, r.cfg.Batch)
		if err != nil {
			return total, err
		}
		n, err := r.relay(ctx, epoch, entries)
		if err != nil {
			return total, err
		}
		if total += n; int64(n) == r.cfg.Batch {
			r.lastClaim = time.Time{} // There may be more.
		}
	}
	block := r.cfg.Block
	if !newest || total > 0 {
		block = 0
	}
	entries, err := r.journal.Next(ctx, epoch, r.cfg.Consumer, r.cfg.Batch, block)
	if err != nil {
		return total, err
	}
	n, err := r.relay(ctx, epoch, entries)
	if err != nil {
		return total, err
	}
	total += n
	if total > 0 || !newest {
		err = r.trim(ctx, epoch, !newest && total == 0)
	}
	return total, err
}

// relay sends the entries and acknowledges them, or holds them for the next turn.
func (r *OrderRelay) relay(ctx context.Context, epoch int64, entries []journal.Entry) (int, error) {
	n, err := r.send(ctx, epoch, entries)
	if err != nil {
		r.held[epoch] = entries
		return 0, err
	}
	delete(r.held, epoch)
	return n, nil
}

func (r *OrderRelay) send(ctx context.Context, epoch int64, entries []journal.Entry) (int, error) {
	if len(entries) == 0 {
		return 0, nil
	}
	inSQL, err := r.flushed(ctx, epoch, entries)
	if err != nil {
		return 0, err
	}
	messages, err := envelopes(inSQL)
	if err != nil {
		r.log.ErrorContext(ctx, "events cannot be sent; the order repairer applies them from Redis", "error", err)
	}
	if len(messages) > 0 {
		if err := r.producer.Send(ctx, r.cfg.Topic, messages...); err != nil {
			return 0, fmt.Errorf("send %d events: %w", len(inSQL), err)
		}
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return len(entries), r.journal.Ack(ctx, epoch, ids)
}

// flushed waits until the stock of the entries is in SQL and returns those of which that is true: of a closed epoch,
// what Redis lost before it was flushed never happened.
func (r *OrderRelay) flushed(ctx context.Context, epoch int64, entries []journal.Entry) ([]journal.Entry, error) {
	deadline := r.now().Add(r.cfg.FlushWait)
	last := entries[len(entries)-1].ID
	for {
		e, err := r.store.EpochAt(ctx, r.cfg.Partition, epoch)
		if err != nil {
			return nil, fmt.Errorf("read the flusher's place: %w", err)
		}
		switch {
		case journal.CompareIDs(e.LastID, last) >= 0:
			return entries, nil
		case e.Closed:
			return r.dropUnflushed(ctx, epoch, entries, e.LastID)
		case r.now().After(deadline) || ctx.Err() != nil:
			return nil, fmt.Errorf("the stock flusher is at %s, before %s, for %s: is it running?", e.LastID, last, r.cfg.FlushWait)
		}
		sleep(ctx, flushPollInterval)
	}
}

// dropUnflushed leaves out what never happened. Redis still remembers it until the next epoch opens there, when it is rewound: until then the
// entries stay, also where another Redis has the shop.
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
		r.log.WarnContext(ctx, "an order was lost with its Redis before it reached SQL", "order", e.OrderID, "entry", e.ID)
	}
	return kept, nil
}

// trim removes what was relayed, which is behind the flusher too, and an old journal that is at its end altogether.
func (r *OrderRelay) trim(ctx context.Context, epoch int64, old bool) error {
	id, more, err := r.journal.Relayed(ctx, epoch)
	if err != nil {
		return err
	}
	if old && !more {
		e, err := r.store.EpochAt(ctx, r.cfg.Partition, epoch)
		if err != nil || !e.Closed {
			return err
		}
		return r.journal.Remove(ctx, epoch)
	}
	_, err = r.journal.Trim(ctx, epoch, id)
	return err
}
