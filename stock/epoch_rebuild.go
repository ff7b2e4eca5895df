package stock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
)

// rebuild closes the epoch in Redis, flushes what its journal still holds, closes it in SQL and opens the next. Each
// step may be the last before a crash: the next look starts over, and SQL's compare-and-set lets one caller win.
func (e *Epochs) rebuild(ctx context.Context, old Epoch, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, rebuildTimeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	abort := func() { end(errInstance) }
	defer abort()
	last, err := e.close(ctx, old, instance, abort)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	// Only now: a request that still holds the old epoch's number would be served by the counters of an older Redis.
	done := e.letThrough(instance, abort)
	defer done()
	if err := e.redis.CheckPolicy(ctx); err != nil {
		e.pause(err)
		return err
	}
	if old.Number > 0 {
		if err := e.drain(ctx, old.Number); err != nil {
			return fmt.Errorf("flush the journal of epoch %d: %w", old.Number, err)
		}
		if err := e.drained(ctx, old.Number, last); err != nil {
			return err
		}
	}
	next, err := e.books.NextEpoch(ctx, e.keys.Partition, old.Number, e.following(old, instance))
	if err != nil {
		return fmt.Errorf("open an epoch after %d in SQL: %w", old.Number, err)
	}
	if err := e.open(ctx, old.Number, next.Number); err != nil {
		return err
	}
	e.adopt(next)
	e.log.InfoContext(ctx, "epoch opened", "epoch", next.Number, "redis", instance, "records_lost_at", next.RecordsLostAt)
	return nil
}

// close closes the epoch in Redis and returns where its journal ends. It also rewinds older ones, on its own connection: a relay that is let
// through drops what they hold beyond SQL's offsets.
func (e *Epochs) close(ctx context.Context, old Epoch, instance string, abort func()) (last string, err error) {
	client, done, err := e.redis.On(instance, abort)
	if err != nil {
		return "", err
	}
	defer done()
	number := old.Number
	reply, err := e.scripts.epochClose.Exec(ctx, client, []string{e.keys.Epoch(), e.keys.Journal(number)},
		[]string{strconv.FormatInt(number, 10), e.token, strconv.Itoa(rebuildPatience)}).AsStrSlice()
	switch {
	case err != nil:
		return "", fmt.Errorf("close epoch %d in Redis: %w", number, err)
	case reply[0] == "OK":
		last = cmp.Or(reply[2], StartID)
		e.found(old, reply[1], last)
	case reply[0] == "OTHER":
		return "", fmt.Errorf("another process is opening an epoch; it is left alone for %s s more", reply[1])
	case reply[0] == "OPEN":
		return "", fmt.Errorf("redis holds epoch %s, later than SQL's %d: if this lasts, this Redis belongs to another database; "+
			"use its own, another --redis-namespace, or FLUSHALL it", reply[1], number)
	}
	return last, e.rewind(ctx, client, old.Number)
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
