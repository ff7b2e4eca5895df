package stock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

// Epoch is one life of the Redis data, as SQL records it.
type Epoch struct {
	// Number counts from 1; 0 means that there was none yet.
	Number int64
	// RunID is the Redis instance on which it was opened.
	RunID string
	// LastID is the last journal entry that SQL's stock includes.
	LastID   string
	OpenedAt time.Time
	// Closed says that a later epoch was opened: nothing of this one is flushed any more.
	Closed bool
}

// Books is what the epochs and counters need from SQL.
type Books interface {
	// OpenEpoch reads the open epoch; order.ErrNotFound when there was none yet.
	OpenEpoch(ctx context.Context, partition uint8) (Epoch, error)
	// EpochAt reads an epoch, open or closed.
	EpochAt(ctx context.Context, partition uint8, number int64) (Epoch, error)
	// NextEpoch closes the epoch `expect` (0 = none) and opens the next one on the instance, in one transaction;
	// order.ErrExists when another caller was faster.
	NextEpoch(ctx context.Context, partition uint8, expect int64, runID string) (Epoch, error)
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
	keys    Keys
	redis   *Redis
	books   Books
	drain   func(ctx context.Context, epoch int64) error
	scripts scripts
	log     *slog.Logger
	token   string
	suspect chan struct{}

	mu      sync.Mutex
	current Epoch         // Number 0 while there is none to reserve on
	opened  chan struct{} // closed when current becomes usable
	checked error         // why there is none
}

// NewEpochs makes the keeper of one partition's epochs. drain flushes what the journal of a closing epoch still
// holds to SQL; it is called when no entry can be added any more.
func NewEpochs(keys Keys, redis *Redis, books Books, drain func(ctx context.Context, epoch int64) error, log *slog.Logger) *Epochs {
	e := &Epochs{
		keys: keys, redis: redis, books: books, drain: drain, scripts: newScripts(), log: log,
		token: rand.Text(), suspect: make(chan struct{}, 1), opened: make(chan struct{}),
		checked: errors.New("redis was not looked at yet"),
	}
	redis.OnChange(e.Suspect)
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
	runID, err := e.redis.Instance(look)
	if err != nil {
		e.pause(err)
		return err
	}
	epoch, err := e.books.OpenEpoch(look, e.keys.Partition)
	if err != nil && !errors.Is(err, order.ErrNotFound) {
		// SQL is away: what Redis knows stays true, so a running epoch goes on.
		return fmt.Errorf("read the open epoch: %w", err)
	}
	if epoch.RunID == runID {
		e.redis.Allow(runID)
		inRedis, err := e.inRedis(look)
		if err != nil {
			e.pause(err)
			return err
		}
		if inRedis == strconv.FormatInt(epoch.Number, 10) {
			e.adopt(epoch)
			return nil
		}
	}
	e.pause(errors.New("redis was wiped, restarted or replaced; its counters are being rebuilt from SQL"))
	return e.rebuild(ctx, epoch, runID)
}

func (e *Epochs) inRedis(ctx context.Context) (string, error) {
	c := e.redis.Client()
	v, err := c.Do(ctx, c.B().Get().Key(e.keys.Epoch()).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the epoch in Redis: %w", err)
	}
	return v, nil
}

// rebuild closes the epoch in Redis, flushes what its journal still holds, closes it in SQL and opens the next. Each
// step may be the last before a crash: the next look starts over, and SQL's compare-and-set lets one caller win.
func (e *Epochs) rebuild(ctx context.Context, old Epoch, runID string) error {
	ctx, cancel := context.WithTimeout(ctx, rebuildTimeout)
	defer cancel()
	if err := e.close(ctx, old.Number, runID); err != nil {
		return err
	}
	// Only now: a request that still holds the old epoch's number would be served by counters that went back in time.
	e.redis.Allow(runID)
	if err := e.redis.CheckPolicy(ctx); err != nil {
		e.pause(err)
		return err
	}
	if old.Number > 0 {
		if err := e.drain(ctx, old.Number); err != nil {
			return fmt.Errorf("flush the journal of epoch %d: %w", old.Number, err)
		}
	}
	if err := e.rewind(ctx, old.Number); err != nil {
		return err
	}
	next, err := e.books.NextEpoch(ctx, e.keys.Partition, old.Number, runID)
	if err != nil {
		return fmt.Errorf("open an epoch after %d in SQL: %w", old.Number, err)
	}
	if err := e.open(ctx, old.Number, next.Number); err != nil {
		return err
	}
	e.adopt(next)
	e.log.InfoContext(ctx, "epoch opened", "epoch", next.Number, "redis_run_id", runID)
	return nil
}

func (e *Epochs) close(ctx context.Context, number int64, runID string) error {
	client, done, err := e.redis.On(runID)
	if err != nil {
		return err
	}
	defer done()
	reply, err := e.scripts.epochClose.Exec(ctx, client, []string{e.keys.Epoch()},
		[]string{strconv.FormatInt(number, 10), e.token, strconv.Itoa(rebuildPatience)}).AsStrSlice()
	switch {
	case err != nil:
		return fmt.Errorf("close epoch %d in Redis: %w", number, err)
	case reply[0] == "OTHER":
		return fmt.Errorf("another process is opening an epoch; it is left alone for %s s more", reply[1])
	case reply[0] == "OPEN":
		return fmt.Errorf("redis holds epoch %s, later than SQL's %d: if this lasts, this Redis belongs to another database; "+
			"use its own, another --redis-namespace, or FLUSHALL it", reply[1], number)
	}
	return nil
}

func (e *Epochs) open(ctx context.Context, old, number int64) error {
	reply, err := e.scripts.epochOpen.Exec(ctx, e.redis.Client(),
		[]string{e.keys.Epoch(), e.keys.Journals(), e.keys.Stock(old)},
		[]string{strconv.FormatInt(number, 10), e.token}).AsStrSlice()
	switch {
	case err != nil:
		return fmt.Errorf("open epoch %d in Redis: %w", number, err)
	case reply[0] != "OK":
		return fmt.Errorf("epoch %d was not opened: Redis changed again meanwhile", number)
	}
	return nil
}
