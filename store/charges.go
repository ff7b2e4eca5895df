package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/charge"
	"github.com/spillway/spillway/order"
)

// Charges is the ledger: one line an order, so that no order is charged twice.
type Charges struct {
	db    *DB
	group *group[order.Charge, order.Charge]
	now   func() time.Time
}

// NewCharges makes the ledger and starts its committer; Close ends it.
func NewCharges(db *DB) *Charges {
	c := &Charges{db: db, now: time.Now}
	c.group = newGroup("charge batch", c.commit)
	return c
}

// Close commits what waits.
func (c *Charges) Close() { c.group.close() }

const (
	// stalledCommit is how long a commit may take before the ledger is not ready: a hundred times as long as a usual one.
	stalledCommit = 2 * time.Second
	// readyRetry is the retry hint until it is.
	readyRetry = time.Second
)

// Ready returns an order.RetryError of order.ErrUnavailable while a charge could not be recorded: the breaker of SQL is open, or a commit does not
// end. It needs no call of SQL.
func (c *Charges) Ready() error {
	if b, ok := c.db.breaker.(interface{ Check() error }); ok {
		if err := b.Check(); err != nil {
			return err
		}
	}
	if busy := c.group.busyFor(); busy > stalledCommit {
		return &order.RetryError{After: readyRetry, Err: fmt.Errorf("the ledger has not committed for %s: %w", busy.Round(time.Millisecond), order.ErrUnavailable)}
	}
	return nil
}

// Record writes a line if the order has none, and returns the line that it has now: its own, or an earlier one. Concurrent
// calls share one INSERT, and each returns after the commit.
func (c *Charges) Record(ctx context.Context, ch order.Charge) (stored order.Charge, err error) {
	return c.group.do(ctx, ch)
}

func (c *Charges) commit(ctx context.Context, charges []order.Charge) ([]order.Charge, error) {
	ctx, cancel := context.WithTimeout(ctx, mysqlTimeout)
	defer cancel()
	if fresh, err := c.insertFresh(ctx, charges); fresh || err != nil {
		return charges, err
	}
	held := make(map[order.ID]order.Charge, len(charges))
	err := c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		clear(held)
		if err := c.insertMissing(ctx, tx, charges); err != nil {
			return err
		}
		return readCharges(ctx, tx, charges, held)
	})
	if err != nil {
		return nil, err
	}
	out := make([]order.Charge, len(charges))
	for i, ch := range charges {
		out[i] = held[ch.OrderID]
	}
	return out, nil
}

// insertFresh writes lines of orders that have none yet, which is nearly always so: one statement, and so one round trip. False
// means that one of them has a line, and that nothing was written.
func (c *Charges) insertFresh(ctx context.Context, charges []order.Charge) (bool, error) {
	now := micro(c.now())
	for i := range charges {
		charges[i].CreatedAt, charges[i].UpdatedAt, charges[i].Attempt = now, now, max(1, charges[i].Attempt)
	}
	err := c.db.call(ctx, func(ctx context.Context) error { return insertCharges(ctx, c.db.ent, charges, "") })
	if isDuplicate(err) || isRetryable(err) {
		return false, nil
	}
	return err == nil, err
}

// insertMissing writes the lines of orders that have none; the others stay.
func (c *Charges) insertMissing(ctx context.Context, tx *ent.Client, charges []order.Charge) error {
	charges = slices.Clone(charges)
	slices.SortStableFunc(charges, func(a, b order.Charge) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	charges = slices.CompactFunc(charges, func(a, b order.Charge) bool { return a.OrderID == b.OrderID })
	return insertCharges(ctx, tx, charges, c.db.onConflictDoNothingSQL(charge.Table, charge.FieldID))
}

// attempt is the number of an attempt as SQL keeps it; 0 is the first.
func attempt(n int) int8 { return int8(min(max(1, n), order.MaxChargeAttempts)) } //nolint:gosec // At most order.MaxChargeAttempts.

func readCharges(ctx context.Context, tx *ent.Client, charges []order.Charge, into map[order.ID]order.Charge) error {
	ids := convert(charges, func(ch order.Charge) string { return string(ch.OrderID) })
	found, err := tx.Charge.Query().Where(charge.IDIn(ids...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read charges: %w", err)
	}
	for _, f := range found {
		into[order.ID(f.ID)] = toCharge(f)
	}
	return nil
}

func toCharge(f *ent.Charge) order.Charge {
	return order.Charge{
		OrderID: order.ID(f.ID), ChargeID: f.ChargeID, State: order.ChargeState(f.State), Amount: money(f.Amount, f.Currency), DeclineCode: f.DeclineCode,
		CreatedAt: f.CreatedAt.UTC(), UpdatedAt: f.UpdatedAt.UTC(), Attempt: int(f.Attempt),
	}
}

// Get reads an order's line; order.ErrNotFound when no charge was requested.
func (c *Charges) Get(ctx context.Context, id order.ID) (order.Charge, error) {
	return fetch(ctx, c.db, func(ctx context.Context) (order.Charge, error) { return getCharge(ctx, c.db.ent, id) })
}

func getCharge(ctx context.Context, client *ent.Client, id order.ID) (order.Charge, error) {
	return onlyCharge(ctx, client.Charge.Query(), id)
}

// lockCharge is getCharge that keeps others from changing the line until the commit.
func (db *DB) lockCharge(ctx context.Context, tx *ent.Client, id order.ID) (order.Charge, error) {
	return onlyCharge(ctx, locked(db, tx.Charge.Query()), id)
}

func onlyCharge(ctx context.Context, q *ent.ChargeQuery, id order.ID) (order.Charge, error) {
	found, err := q.Where(charge.ID(string(id))).All(ctx)
	if err != nil {
		return order.Charge{}, err
	}
	if len(found) == 0 {
		return order.Charge{}, fmt.Errorf("charge of order %s: %w", id, order.ErrNotFound)
	}
	return toCharge(found[0]), nil
}

// Resolve moves a line from one state to another and returns it; when it was not in that state, it returns the line as
// it is.
func (c *Charges) Resolve(ctx context.Context, id order.ID, from, to order.ChargeState, declineCode string) (order.Charge, error) {
	now := micro(c.now())
	change := c.db.ent.Charge.Update().Where(charge.ID(string(id)), charge.State(int8(from))).
		SetState(int8(to)).SetDeclineCode(truncate(declineCode, maxDeclineCode)).SetUpdatedAt(now)
	if voided, recheck := voidTimes(to, now); voided != nil {
		change.SetVoidedAt(*voided).SetRecheckAt(*recheck)
	} else {
		change.ClearVoidedAt().ClearRecheckAt()
	}
	return c.update(ctx, id, change)
}

// Void leaves a tombstone, so that the order is never charged: a line that is missing is written as VOIDED under the given
// charge id, and one that is pending or declined becomes VOIDED, so that no other card is tried. One that succeeded is order.ErrFailedPrecondition.
func (c *Charges) Void(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (order.Charge, error) {
	ch, err := c.tombstone(ctx, id, chargeID, currency)
	if err == nil {
		ch, err = c.voidOpen(ctx, ch)
	}
	return ch, notTaken(ch, err)
}

// VoidUncharged is Void, except that a line that is PENDING stays as it is.
func (c *Charges) VoidUncharged(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (order.Charge, error) {
	ch, err := c.tombstone(ctx, id, chargeID, currency)
	if err == nil && ch.State == order.ChargeDeclined {
		ch, err = c.ResolveAttempt(ctx, ch, order.ChargeVoided, ch.DeclineCode)
	}
	return ch, notTaken(ch, err)
}

// tombstone writes a VOIDED line if the order has none, and returns the line that it has.
func (c *Charges) tombstone(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (order.Charge, error) {
	return c.Record(ctx, order.Charge{OrderID: id, ChargeID: chargeID, State: order.ChargeVoided, Amount: order.Money{Currency: currency}})
}

// notTaken returns err, or order.ErrFailedPrecondition for a charge that succeeded.
func notTaken(ch order.Charge, err error) error {
	if err == nil && ch.State.Taken() {
		return fmt.Errorf("order %s is charged already: %w", ch.OrderID, order.ErrFailedPrecondition)
	}
	return err
}
