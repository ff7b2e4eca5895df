package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spillway/spillway/redisconn"
)

// rebuild closes the epoch in Redis, flushes what its journal still holds, closes it in SQL and opens the next. Each step may be the last
// before a crash: the next check starts over, and SQL's compare-and-set lets one caller win.
func (e *Epochs) rebuild(ctx context.Context, old Epoch, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, rebuildTimeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	abort := func() { end(redisconn.ErrInstance) }
	defer abort()
	undrained, err := e.cfg.Store.Undrained(ctx, e.cfg.Keys.Partition)
	if err != nil && !errors.Is(err, ErrNoEpoch) {
		return fmt.Errorf("read the epoch that is to be drained: %w", err)
	}
	last, err := e.close(ctx, old, undrained.Number, instance, abort)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	// Not earlier: a request that still holds the old epoch's number would be served by the counters of an older Redis.
	done := e.allow(instance, abort)
	defer done()
	if err := errors.Join(e.cfg.Conn.CheckEvictionPolicy(ctx), e.checkReplicas(ctx, instance)); err != nil {
		e.suspendUnlessSQL(old, err)
		return err
	}
	closed, err := e.drain(ctx, old, undrained.Number, last)
	if err != nil {
		return err
	}
	// Again, because the flush may have taken long.
	if err := e.cfg.Conn.Confirm(ctx, instance); err != nil {
		return err
	}
	began := time.Now()
	// A flusher may commit a batch of the previous Redis after recheckLoss. Then this fails, and the next check starts over.
	next, err := e.cfg.Store.NextEpoch(ctx, closed, e.nextEpoch(old, instance))
	if err != nil {
		return fmt.Errorf("open an epoch after %d in SQL: %w", old.Number, err)
	}
	if err := e.open(ctx, lastInRedis(old), next.Number); err != nil {
		return err
	}
	e.shareChecked, e.elsewhere = true, elsewhere{}
	e.adopt(next, began)
	log := e.cfg.Log
	if !next.RecordsLostAt.IsZero() {
		log = log.With("records_lost_at", next.RecordsLostAt)
	}
	log.InfoContext(ctx, "epoch opened", "epoch", next.Number, "redis", instance)
	return nil
}

// lastInRedis is the number of the last epoch with counters in Redis: an epoch with ModeSQL follows one.
func lastInRedis(old Epoch) int64 {
	if old.Mode == ModeSQL {
		return old.Number - 1
	}
	return old.Number
}

// drain flushes what the journals of the closing epoch, and of the one that is to be drained, still hold. It returns the offset at which the closing epoch
// is closed in SQL.
func (e *Epochs) drain(ctx context.Context, old Epoch, undrained int64, last string) (closed Offset, err error) {
	if undrained > 0 {
		if err := e.drainClosed(ctx, undrained); err != nil {
			return closed, err
		}
	}
	if old.Number == 0 || old.Mode == ModeSQL { // It has no journal.
		return Offset{Epoch: old.Number}, nil
	}
	if err := e.cfg.Drain(ctx, old.Number); err != nil {
		return closed, fmt.Errorf("flush the journal of epoch %d: %w", old.Number, err)
	}
	return e.recheckLoss(ctx, old.Number, last)
}

// drainClosed flushes what the journal of an epoch that was closed without its Redis holds. From then on no entry of it is applied.
func (e *Epochs) drainClosed(ctx context.Context, number int64) error {
	if err := e.cfg.Drain(ctx, number); err != nil {
		return fmt.Errorf("flush the journal of epoch %d: %w", number, err)
	}
	closed, err := e.cfg.Store.EpochAt(ctx, e.cfg.Keys.Partition, number)
	if err != nil {
		return fmt.Errorf("read the offset of epoch %d: %w", number, err)
	}
	if err := e.cfg.Store.Drained(ctx, e.cfg.Keys.Partition, Offset{Epoch: number, ID: closed.LastID}); err != nil {
		return fmt.Errorf("end the draining of epoch %d: %w", number, err)
	}
	return nil
}

// close closes the epoch in Redis and returns the id at which its journal ends. It also rewinds older ones, except the undrained one, on its own
// connection: once the instance is allowed, the relay drops what they hold beyond SQL's offsets.
func (e *Epochs) close(ctx context.Context, old Epoch, undrained int64, instance string, abort func()) (last string, err error) {
	client, done, err := e.cfg.Conn.NewClient(instance, abort)
	if err != nil {
		return "", err
	}
	defer done()
	number := old.Number
	reply, err := e.scripts.epochClose.Exec(ctx, client, []string{e.cfg.Keys.Epoch(), e.cfg.Keys.Journal(number)},
		[]string{strconv.FormatInt(number, 10), e.token, strconv.Itoa(takeoverAfter)}).AsStrSlice()
	switch {
	case err != nil:
		return "", fmt.Errorf("close epoch %d in Redis: %w", number, err)
	case reply[0] == "OK":
		last = cmp.Or(reply[2], StartID)
		e.recordLoss(old, reply[1], last)
	case reply[0] == "OTHER":
		return "", fmt.Errorf("another process is opening an epoch; it is taken over in %s s unless it succeeds", reply[1])
	case reply[0] == "OPEN":
		return "", fmt.Errorf("redis holds epoch %s, later than SQL's %d: if this lasts, this Redis belongs to another database; "+
			"use its own, another --redis-namespace, or FLUSHALL it", reply[1], number)
	}
	return last, e.rewind(ctx, client, old.Number, undrained)
}

func (e *Epochs) open(ctx context.Context, old, number int64) error {
	reply, err := e.scripts.epochOpen.Exec(ctx, e.cfg.Conn.Client(),
		[]string{e.cfg.Keys.Epoch(), e.cfg.Keys.Journals(), e.cfg.Keys.Stock(old)},
		[]string{strconv.FormatInt(number, 10), e.token}).AsStrSlice()
	switch {
	case err != nil:
		return fmt.Errorf("open epoch %d in Redis: %w", number, err)
	case reply[0] != "OK":
		return fmt.Errorf("epoch %d was not opened: Redis changed again meanwhile", number)
	}
	return nil
}
