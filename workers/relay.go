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
	// Topic is the topic of the order events.
	Topic string
	// Consumer is the relay's name in the consumer group; unique to its process.
	Consumer string
	// Batch is how many journal entries one iteration takes, and so about how many events one message holds.
	Batch int64
	// Block is how long one iteration waits for a first entry.
	Block time.Duration
	// ClaimIdle is how long an entry of another relay must be unacknowledged before this one claims it: longer than a send may take.
	ClaimIdle time.Duration
	// FlushWait bounds how long an iteration waits for entries to be flushed. After that the next iteration tries them again.
	FlushWait time.Duration
	// Keep is how long entries stay in the journal after they were sent, for a SQL that loses its last commits; 0 trims them at once. KeepMax is
	// about how many stay at most.
	Keep    time.Duration
	KeepMax int64
}

// DefaultRelayConfig takes 500 entries at once. With reservations that are settled in the same batch left out, that is a message of 250 to 500
// events and 150 to 300 kB, and in RocketMQ a fourth of the CPU per order that messages of 200 entries take. maxMessageBytes splits larger ones.
func DefaultRelayConfig(topic, consumer string) RelayConfig {
	return RelayConfig{
		Topic: topic, Consumer: consumer, Batch: 500, Block: 500 * time.Millisecond,
		ClaimIdle: 15 * time.Second, FlushWait: 10 * time.Second,
	}
}

const (
	// maxMessageBytes bounds the events of one message; the broker takes 4 MiB.
	maxMessageBytes = 1 << 20
	// claimInterval is the time between two attempts to claim the unacknowledged entries of other relays.
	claimInterval = 2 * time.Second
)

// RelayStore reads the offset to which an epoch is flushed.
type RelayStore interface {
	EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error)
}

// OrderRelay sends the journal's entries to the queue, up to RelayConfig.Batch events in one message, and acknowledges an entry after the
// broker has accepted it. It stays behind the stock flusher: otherwise an order could become a row before its units are deducted in SQL,
// and a wiped Redis would sell them again. It retries entries that it could not send; other relays claim the entries of one that died.
type OrderRelay struct {
	cfg       RelayConfig
	journal   *journal.Journal
	store     RelayStore
	producer  queue.Producer
	dead      DeadLetters
	snapshots completer
	log       *slog.Logger
	now       func() time.Time
	lastClaim time.Time
	// held are the entries of each epoch that were read and could not be sent. The next iteration begins with them, because claiming them
	// would take as long as if this relay had died. It holds at most one batch an epoch.
	held map[int64][]journal.Entry
	pace Pace
	// kept are the journals with sent entries that are not trimmed yet, by epoch.
	kept map[int64]*keptJournal
	// progress is that of a flusher in this process; nil without one.
	progress *journal.Progress
	// rows gets what is sent again because SQL lost commits; nil leaves that to the order writer.
	rows OrderStore
}

// NewOrderRelay makes a relay. It is not safe for concurrent use; several relays may run.
func NewOrderRelay(
	cfg RelayConfig, j *journal.Journal, st RelayStore, snapshots SnapshotSources, producer queue.Producer, dead DeadLetters, log *slog.Logger,
) *OrderRelay {
	return &OrderRelay{
		cfg:       cfg,
		journal:   j,
		store:     st,
		producer:  producer,
		dead:      dead,
		snapshots: newCompleter(snapshots),
		log:       log.With("worker", "order_relay"),
		now:       time.Now,
		held:      make(map[int64][]journal.Entry),
		kept:      make(map[int64]*keptJournal),
	}
}

// WithPace sets when iterations begin. It is called before Run.
func (r *OrderRelay) WithPace(p Pace) *OrderRelay {
	r.pace = p
	return r
}

// WithRows sets where the rows of orders are written if their entries are sent again because SQL lost commits. It is called before Run.
func (r *OrderRelay) WithRows(rows OrderStore) *OrderRelay {
	r.rows = rows
	return r
}

// Run relays until ctx ends. It releases the entries that it did not send then.
func (r *OrderRelay) Run(ctx context.Context) {
	defer r.releaseHeld(ctx)
	loop(ctx, r.log, r.pace.paced(int(r.cfg.Batch), r.RunOnce))
}

// RunOnce relays one batch of each epoch that is not fully relayed, and returns the number of entries.
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
	for epoch := range r.kept {
		if !slices.Contains(epochs, epoch) {
			delete(r.kept, epoch)
		}
	}
	total := 0
	var errs []error
	for i, epoch := range epochs {
		n, err := r.relayEpoch(ctx, epoch, claim, i == len(epochs)-1)
		if err != nil {
			errs = append(errs, fmt.Errorf("epoch %d: %w", epoch, err))
		}
		total += n
	}
	return total, errors.Join(errs...)
}

// relayEpoch relays one batch of an epoch. It waits for entries of the newest epoch, and removes the journal of an older one at its end. The reads go on when
// ctx ends: entries that Redis delivered at that moment would not be held, and so not be released.
func (r *OrderRelay) relayEpoch(ctx context.Context, epoch int64, claim, newest bool) (int, error) {
	total, err := r.relay(ctx, epoch, r.held[epoch])
	if err != nil {
		return 0, err
	}
	if claim {
		entries, err := r.journal.Claim(context.WithoutCancel(ctx), epoch, r.cfg.Consumer, r.cfg.ClaimIdle, r.cfg.Batch)
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
	entries, err := r.journal.Next(context.WithoutCancel(ctx), epoch, r.cfg.Consumer, r.cfg.Batch, block)
	if err != nil {
		return total, err
	}
	n, err := r.relay(ctx, epoch, entries)
	if err != nil {
		return total, err
	}
	total += n
	if total > 0 || !newest || r.kept[epoch] != nil {
		err = r.trim(ctx, epoch, !newest && total == 0)
	}
	return total, err
}

// trim trims the journal behind the relay, which is behind the flusher. It removes an old journal that is at its end.
func (r *OrderRelay) trim(ctx context.Context, epoch int64, old bool) error {
	id, more, err := r.journal.Relayed(ctx, epoch)
	if err != nil {
		return err
	}
	if old && !more {
		e, err := r.store.EpochAt(ctx, r.cfg.Partition, epoch)
		if err != nil || !e.Closed || e.Undrained {
			return err
		}
		return r.journal.Remove(ctx, epoch)
	}
	if r.cfg.Keep > 0 {
		return r.trimKept(ctx, epoch, id)
	}
	_, err = r.journal.Trim(ctx, epoch, id)
	return err
}
