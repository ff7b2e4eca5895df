package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/redisconn"
)

// Settle makes an order that was charged PAID and returns the offset of the entry; a repeated call returns the same. It returns
// order.ErrFailedPrecondition when the order was cancelled, so that the charge must be refunded, and order.ErrNotFound when Redis does not hold
// the order (any more). Because the money was taken, it waits up to maxEpochWait for a new epoch.
func (s *Stock) Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error) {
	return s.finish(ctx, id, step{
		inRedis: func(epoch journal.Epoch) ([]string, error) {
			return inBatch(ctx, s, &s.settles, settleCall{s.names(epoch), id, chargeID, trace})
		},
		inSQL: func(epoch journal.Epoch) error { return s.sql.Settle(ctx, epoch, id) },
	})
}

// step takes a step of an order that is reserved: by a script in an epoch, or in SQL.
type step struct {
	inRedis func(epoch journal.Epoch) ([]string, error)
	inSQL   func(epoch journal.Epoch) error
}

// finish runs a step of an order that is reserved. If it fails, or no epoch is open, finish retries it on the epoch that is open then, for up
// to maxEpochWait. Usually the first attempt succeeds, and needs no timer of its own.
func (s *Stock) finish(ctx context.Context, id order.ID, run step) (journal.Offset, error) {
	deadline := time.Now().Add(s.epochWait)
	if epoch, err := s.epochs.Current(); err == nil {
		if pos, err := s.attempt(ctx, deadline, epoch, id, run); !errors.Is(err, errAttempt) {
			return pos, err
		}
	}
	wait, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		epoch, err := s.epochs.Wait(wait)
		if err != nil {
			return journal.Offset{}, err
		}
		if pos, err := s.attempt(ctx, deadline, epoch, id, run); !errors.Is(err, errAttempt) {
			return pos, err
		}
		if pause.For(wait, loadBackoff) != nil {
			return journal.Offset{}, s.waitedInVain(errors.New("redis or SQL was unavailable"))
		}
	}
}

// waitedInVain is the error of a step that was not done within maxEpochWait.
func (s *Stock) waitedInVain(cause error) error {
	return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("%w for %s: %w: %w", cause, s.epochWait, order.ErrUnavailable, order.ErrUnknownOutcome)}
}

// errAttempt means that a step failed in a way that a retry may mend.
var errAttempt = errors.New("the step must be retried")

// attempt runs a step once. An order of an earlier epoch is compared with SQL first, which may be further than a Redis that lost data; that
// ends at the deadline.
func (s *Stock) attempt(ctx context.Context, deadline time.Time, epoch journal.Epoch, id order.ID, run step) (journal.Offset, error) {
	if epoch.Mode == journal.ModeSQL {
		return s.attemptInSQL(epoch, run)
	}
	reply, err := run.inRedis(epoch)
	if err == nil && reply[0] == "UNCONFIRMED" {
		if err := s.confirmBefore(ctx, deadline, epoch.Number, id); err != nil {
			return journal.Offset{}, err
		}
		reply, err = run.inRedis(epoch)
	}
	if err != nil || reply[0] == "UNCONFIRMED" {
		return journal.Offset{}, errAttempt
	}
	pos, err := s.finished(reply)
	if errors.Is(err, errEpoch) {
		return journal.Offset{}, errAttempt
	}
	return pos, err
}

// attemptInSQL takes a step in SQL. The zero offset means that it is in SQL.
func (s *Stock) attemptInSQL(epoch journal.Epoch, run step) (journal.Offset, error) {
	err := s.checked(run.inSQL(epoch))
	if errors.Is(err, order.ErrUnknownOutcome) || errors.Is(err, ErrEpochEnded) {
		return journal.Offset{}, errAttempt
	}
	return journal.Offset{}, err
}

// confirmBefore is confirm, except that it ends at the deadline.
func (s *Stock) confirmBefore(ctx context.Context, deadline time.Time, epoch int64, id order.ID) error {
	bounded, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	err := s.confirm(bounded, epoch, id)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return s.waitedInVain(fmt.Errorf("SQL did not respond: %w", err))
	}
	return err
}

func (s *Stock) finished(reply []string) (journal.Offset, error) {
	switch reply[0] {
	case "OK":
		epoch, err := strconv.ParseInt(reply[1], 10, 64)
		return journal.Offset{Epoch: epoch, ID: reply[2]}, err
	case "MISSING":
		return journal.Offset{}, fmt.Errorf("redis does not hold the order: %w", order.ErrNotFound)
	case "CANCELLED", "PAID":
		return journal.Offset{}, fmt.Errorf("the order is %s: %w", reply[0], order.ErrFailedPrecondition)
	}
	return journal.Offset{}, s.refused(reply)
}
