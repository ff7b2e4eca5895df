package stock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
)

// Epoch is one life of the Redis data, as SQL records it.
type Epoch struct {
	// Number counts from 1; 0 means that there was none yet.
	Number int64
	// Instance is the Redis history on which it was opened: see Redis.Instance.
	Instance string
	// LastID is the last journal entry that SQL's stock includes.
	LastID   string
	OpenedAt time.Time
	// Closed says that a later epoch was opened: nothing of this one is flushed any more.
	Closed bool
	// Durability is what an answer promises in this epoch; all processes of a shop share it.
	Durability string
	// RecordsLostAt is when Redis last came back without data that SQL has; zero for never.
	RecordsLostAt time.Time
}

// Standing is what SQL knows of an order that may be further there than in Redis.
type Standing struct {
	// State is the state of the order's row, or Cancelled when SQL has given its units back; Pending when it has neither.
	State order.State
	// Reason is why it was cancelled, as order.CancelReason.Encode made it; At when the state was entered.
	Reason string
	At     time.Time
}

// Books is what the epochs and counters need from SQL.
type Books interface {
	// OpenEpoch reads the open epoch; order.ErrNotFound when there was none yet.
	OpenEpoch(ctx context.Context, partition uint8) (Epoch, error)
	// EpochAt reads an epoch, open or closed.
	EpochAt(ctx context.Context, partition uint8, number int64) (Epoch, error)
	// NextEpoch closes the epoch `expect` (0 = none) and opens the next one with the Instance, Durability and RecordsLostAt
	// of next, in one transaction; order.ErrAlreadyExists when another caller was faster.
	NextEpoch(ctx context.Context, partition uint8, expect int64, next Epoch) (Epoch, error)
	// Standing reads what SQL knows of an order.
	Standing(ctx context.Context, id order.ID) (Standing, error)
	// Snapshot reads the open epoch's position and the SKUs' stock at that position, in one consistent read.
	Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (Epoch, map[order.SKU]int64, error)
}

const (
	// checkEvery is how often the instance and the epoch key are looked at when nothing raised a suspicion.
	checkEvery = time.Second
	// checkTimeout bounds one look without a rebuild.
	checkTimeout = 5 * time.Second
	// rebuildTimeout bounds one rebuild: flushing a full journal takes a few seconds.
	rebuildTimeout = 60 * time.Second
	// rebuildPatience is how long another process' rebuild is left alone, in seconds, before it is taken over.
	rebuildPatience = 5
	// retryAfter is what callers are told while there is no open epoch: opening one takes a second or two.
	retryAfter = time.Second
)

// Epochs keeps this process on the open epoch, and opens a new one when Redis was wiped, restarted or replaced.
type Epochs struct {
	keys       Keys
	redis      *Redis
	books      Books
	drain      func(ctx context.Context, epoch int64) error
	durability string
	scripts    scripts
	log        *slog.Logger
	token      string
	suspect    chan struct{}

	mu         sync.Mutex
	current    Epoch         // Number 0 while there is none to reserve on
	opened     chan struct{} // closed when current becomes usable
	checked    error         // why there is none
	distrusted int64         // the epoch that Distrust named
	lost       map[int64]bool
	abort      func() // ends the rebuild that has let its instance through; nil while there is none
}

// ErrDurability means that the shop runs with another durability setting than this process.
var ErrDurability = errors.New("another durability setting")

// NewEpochs makes the keeper of one partition's epochs. drain flushes what the journal of a closing epoch still
// holds to SQL; it is called when no entry can be added any more. durability is this process' setting: an epoch of another one is
// not adopted.
func NewEpochs(keys Keys, redis *Redis, books Books, drain func(ctx context.Context, epoch int64) error, durability string, log *slog.Logger) *Epochs {
	e := &Epochs{
		keys: keys, redis: redis, books: books, drain: drain, durability: durability, scripts: newScripts(), log: log,
		token: rand.Text(), suspect: make(chan struct{}, 1), opened: make(chan struct{}), lost: make(map[int64]bool),
		checked: errors.New("redis was not looked at yet"),
	}
	redis.OnChange(e.otherInstance)
	return e
}

// Run looks after the epoch until ctx ends. It is quick at first, so that a process is ready soon after its start.
func (e *Epochs) Run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		if err := e.Check(ctx); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "no epoch to reserve on; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.suspect:
			// A rebuild that fails at once must not be tried in a hot loop.
			select {
			case <-ctx.Done():
				return
			case <-time.After(checkEvery / 10):
			}
		case <-tick.C:
		}
	}
}

// Suspect asks for a look soon: a script saw another epoch, or a connection another instance.
func (e *Epochs) Suspect() {
	select {
	case e.suspect <- struct{}{}:
	default: // One is asked for already.
	}
}

// otherInstance ends a rebuild that is under way: its Redis is gone, and the client would try to reach it until the rebuild's time is over.
func (e *Epochs) otherInstance() {
	e.mu.Lock()
	abort := e.abort
	e.mu.Unlock()
	if abort != nil {
		abort()
	}
	e.Suspect()
}

// letThrough lets the commands of this process reach the rebuild's instance, and ends the rebuild when another one answers. Before, other
// callers meet the wrong instance all the time.
func (e *Epochs) letThrough(instance string, abort func()) (done func()) {
	e.redis.Allow(instance)
	set := func(f func()) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.abort = f
	}
	set(abort)
	return func() { set(nil) }
}

// Current is the epoch to reserve on. While there is none, the error says why and when to come back.
func (e *Epochs) Current() (Epoch, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current.Number == 0 {
		return Epoch{}, &order.RetryError{After: retryAfter, Err: fmt.Errorf("stock: %w: %w", order.ErrUnavailable, e.checked)}
	}
	return e.current, nil
}

// Wait is Current, after waiting for an epoch to open until ctx ends.
func (e *Epochs) Wait(ctx context.Context) (Epoch, error) {
	for {
		e.mu.Lock()
		current, opened := e.current, e.opened
		e.mu.Unlock()
		if current.Number != 0 {
			return current, nil
		}
		select {
		case <-ctx.Done():
			_, err := e.Current()
			return Epoch{}, err
		case <-opened:
		}
	}
}

// pause makes Current fail until the next successful look.
func (e *Epochs) pause(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checked = why
	if e.current.Number != 0 {
		e.current, e.opened = Epoch{}, make(chan struct{})
	}
}

func (e *Epochs) adopt(epoch Epoch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current.Number == 0 {
		close(e.opened)
	}
	e.current, e.checked = epoch, nil
}

// Check looks once at Redis and SQL, adopts the open epoch if both agree on it, and opens a new one if they do not.
func (e *Epochs) Check(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	instance, err := e.redis.Instance(look)
	if err != nil {
		e.pause(err)
		return err
	}
	// SQL first: its offset never exceeds what Redis has, unless Redis lost data.
	epoch, err := e.books.OpenEpoch(look, e.keys.Partition)
	if err != nil && !errors.Is(err, order.ErrNotFound) {
		err = fmt.Errorf("read the open epoch: %w", err)
		// SQL is away: what Redis knows stays true, so a running epoch goes on where it was opened.
		if current, _ := e.Current(); current.Instance != instance {
			e.pause(err)
		}
		return err
	}
	if epoch.Durability != "" && epoch.Durability != e.durability {
		err := fmt.Errorf("this shop runs with durability %q and this process with %q: start it with --durability %s, or change the shop's "+
			"by `spillway durability`: %w", epoch.Durability, e.durability, epoch.Durability, ErrDurability)
		e.pause(err)
		return err
	}
	why, err := e.compare(look, epoch, instance)
	if err != nil {
		e.pause(err)
		return err
	}
	if why == "" {
		e.adopt(epoch)
		return nil
	}
	e.pause(fmt.Errorf("%s; the counters are being rebuilt from SQL", why))
	if epoch.Number > 0 {
		e.log.WarnContext(ctx, "closing the epoch", "epoch", epoch.Number, "reason", why)
	}
	return e.rebuild(ctx, epoch, instance)
}
