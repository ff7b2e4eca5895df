package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

const (
	// checkInterval is the time between two checks of the instance and the epoch key when none was requested.
	checkInterval = time.Second
	// checkTimeout bounds one check without a rebuild.
	checkTimeout = 5 * time.Second
	// sqlTimeout bounds the reading of SQL in it: two checks in a row that wait for a frozen SQL, and the interval between them, must take less than
	// maxUnconfirmed.
	sqlTimeout = 3 * time.Second
	// rebuildTimeout bounds one rebuild: flushing a full journal takes a few seconds.
	rebuildTimeout = 60 * time.Second
	// maxUnconfirmed is for how long an epoch is used after the beginning of the check that confirmed it last. It is longer than a check
	// that fails and the next one take. A process that was stopped for longer, and continues with its connections, may be on a Redis that was replaced
	// meanwhile.
	maxUnconfirmed = 10 * time.Second
	// takeoverAfter is the age, in seconds, at which the unfinished rebuild of another process is taken over.
	takeoverAfter = 5
)

// EpochsConfig is what Epochs works on.
type EpochsConfig struct {
	Keys  Keys
	Conn  *redisconn.Conn
	Store EpochStore
	// Drain flushes to SQL what the journal of a closing epoch still holds. It is called when no entry can be added any more.
	Drain func(ctx context.Context, epoch int64) error
	// Rewind undoes in Redis what the scripts wrote beside entries that SQL never applied, oldest first. It is called while no epoch is
	// open, over the given client.
	Rewind func(ctx context.Context, client rueidis.Client, entries []Entry) error
	// Durability is the setting of this process: an epoch of another one is not used.
	Durability string
	// Replicas is set if Redis must not take writes without a replica.
	Replicas bool
	// SQLMode bounds how long Redis may be unavailable before orders are taken in SQL.
	SQLMode SQLModeConfig
	// ReserveShare is the percentage of each product's units that Redis does not get; nil keeps what the open epoch records.
	ReserveShare *int
	Log          *slog.Logger
}

// Epochs keeps this process on the open epoch, and opens a new one when Redis was wiped, restarted or replaced. It is safe for
// concurrent use.
type Epochs struct {
	cfg       EpochsConfig
	scripts   scripts
	token     string
	requested chan struct{}
	// configured is the instance that checkReplicas has accepted; only Check uses it, as it does outage, elsewhere and shareChecked.
	configured string
	outage     outage
	elsewhere  elsewhere
	// shareChecked is set once the open epoch was compared with ReserveShare.
	shareChecked bool

	mu          sync.Mutex
	current     Epoch         // Number 0 while no epoch is open
	confirmed   time.Time     // the beginning of the check that confirmed it last
	running     bool          // Run checks it again and again
	opened      chan struct{} // closed when current becomes usable
	unusable    error         // why no epoch is open
	invalidated int64         // the epoch that Invalidate was called for
	lost        map[int64]bool
	used        int64  // the last epoch in Redis that this process was on
	abort       func() // cancels the rebuild that has allowed its instance; nil while there is none
}

// NewEpochs makes the keeper of one partition's epochs.
func NewEpochs(cfg EpochsConfig) *Epochs {
	e := &Epochs{
		cfg: cfg, scripts: newScripts(), token: rand.Text(), requested: make(chan struct{}, 1), opened: make(chan struct{}),
		lost: make(map[int64]bool), unusable: errors.New("redis was not checked yet"),
	}
	cfg.Conn.OnChange(e.instanceChanged)
	return e
}

// Run checks the epoch at every interval, and soon after RequestCheck, until ctx ends. While Redis is unavailable it backs off.
func (e *Epochs) Run(ctx context.Context) {
	e.mu.Lock()
	e.running = true
	e.mu.Unlock()
	for {
		if err := e.Check(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Log.WarnContext(ctx, "no epoch is open, retrying", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.requested:
			// A rebuild that fails at once must not be retried in a hot loop.
			select {
			case <-ctx.Done():
				return
			case <-time.After(checkInterval / 10):
			}
		case <-time.After(e.outage.pause()):
		}
	}
}

// RequestCheck makes Run check soon: a script saw another epoch, or a connection another instance.
func (e *Epochs) RequestCheck() {
	select {
	case e.requested <- struct{}{}:
	default: // One is requested already.
	}
}

// Invalidate makes the next check close the epoch and rebuild the counters from SQL, because Redis and SQL contradict each other.
func (e *Epochs) Invalidate(epoch int64) {
	e.mu.Lock()
	e.invalidated = epoch
	e.mu.Unlock()
	e.RequestCheck()
}

func (e *Epochs) isInvalidated(epoch int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.invalidated == epoch
}

// instanceChanged cancels a rebuild in progress: its Redis is gone, and the client would try to reach it until the rebuild times out.
func (e *Epochs) instanceChanged() {
	e.mu.Lock()
	abort := e.abort
	e.mu.Unlock()
	if abort != nil {
		abort()
	}
	e.RequestCheck()
}

// allow lets the commands of this process reach the rebuild's instance, and calls abort when it is replaced. Before that, the connections
// of other callers meet the wrong instance all the time.
func (e *Epochs) allow(instance string, abort func()) (done func()) {
	e.cfg.Conn.Allow(instance)
	set := func(f func()) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.abort = f
	}
	set(abort)
	return func() { set(nil) }
}

// Current returns the open epoch. While there is none, it returns an order.RetryError with the cause and a retry hint.
func (e *Epochs) Current() (Epoch, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expire()
	if e.current.Number == 0 {
		return Epoch{}, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("stock: %w: %w", order.ErrUnavailable, e.unusable)}
	}
	return e.current, nil
}

// Wait is Current, but waits until an epoch is open or ctx ends.
func (e *Epochs) Wait(ctx context.Context) (Epoch, error) {
	for {
		e.mu.Lock()
		e.expire()
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

// errUnconfirmed means that the last check is too long ago.
var errUnconfirmed = fmt.Errorf("the epoch was not confirmed for %s", maxUnconfirmed)

// expire stops the use of an epoch that was not confirmed for too long. One with ModeSQL is confirmed by each transaction. The caller holds the lock.
func (e *Epochs) expire() {
	if e.running && e.current.Number != 0 && e.current.Mode != ModeSQL && time.Since(e.confirmed) > maxUnconfirmed {
		e.suspendLocked(errUnconfirmed)
	}
}

// suspend makes Current fail until the next successful check.
func (e *Epochs) suspend(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.suspendLocked(cause)
}

// suspendLocked is suspend for a caller that holds the lock.
func (e *Epochs) suspendLocked(cause error) {
	e.unusable = cause
	if e.current.Number != 0 {
		e.current, e.opened = Epoch{}, make(chan struct{})
	}
}

// adopt makes the epoch the current one; the check that found it open began at the time.
func (e *Epochs) adopt(epoch Epoch, began time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current.Number == 0 {
		close(e.opened)
	}
	e.current, e.unusable, e.confirmed = epoch, nil, began
	if epoch.Mode != ModeSQL {
		e.used = epoch.Number
	}
}
