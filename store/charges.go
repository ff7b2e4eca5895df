package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
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
	c.group = newGroup(c.commit)
	return c
}

// Close commits what waits.
func (c *Charges) Close() { c.group.close() }

// Record writes a line if the order has none, and answers the line that it has now: its own, or an earlier one. Concurrent
// calls share one INSERT, and each is answered after the commit.
func (c *Charges) Record(ctx context.Context, ch order.Charge) (stored order.Charge, err error) {
	return c.group.do(ctx, ch)
}

const chargeColumns = "order_id, charge_id, state, amount, currency, decline_code, created_at, updated_at, attempt"

func (c *Charges) commit(ctx context.Context, charges []order.Charge) ([]order.Charge, error) {
	ctx, cancel := context.WithTimeout(ctx, mysqlTimeout)
	defer cancel()
	if fresh, err := c.insertFresh(ctx, charges); fresh || err != nil {
		return charges, err
	}
	held := make(map[order.ID]order.Charge, len(charges))
	err := c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		clear(held)
		if err := leaveCharges(ctx, c.db, tx, charges); err != nil {
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

// leaveCharges leaves the line that is there.
func leaveCharges(ctx context.Context, db *DB, tx *ent.Client, charges []order.Charge) error {
	charges = slices.Clone(charges)
	slices.SortStableFunc(charges, func(a, b order.Charge) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	charges = slices.CompactFunc(charges, func(a, b order.Charge) bool { return a.OrderID == b.OrderID })
	return insertCharges(ctx, tx, charges, db.orLeave("charges", "order_id"))
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func insertCharges(ctx context.Context, ex execer, charges []order.Charge, upsert string) error {
	args := make([]any, 0, 11*len(charges))
	for _, ch := range charges {
		voided, recheck := voidTimes(ch.State, ch.UpdatedAt)
		args = append(args, ch.OrderID, ch.ChargeID, ch.State, ch.Amount.Amount, ch.Amount.Currency, truncate(ch.DeclineCode, 64), ch.CreatedAt, ch.UpdatedAt,
			max(1, ch.Attempt), voided, recheck)
	}
	if _, err := ex.ExecContext(ctx, "INSERT INTO charges ("+chargeColumns+", voided_at, recheck_at) VALUES "+tuples(len(charges), "(?,?,?,?,?,?,?,?,?,?,?)")+upsert, args...); err != nil {
		return fmt.Errorf("record %d charges: %w", len(charges), err)
	}
	return nil
}

func readCharges(ctx context.Context, tx *ent.Client, charges []order.Charge, into map[order.ID]order.Charge) error {
	args := make([]any, len(charges))
	for i, ch := range charges {
		args[i] = ch.OrderID
	}
	return each(ctx, tx, "charges", func(r scanner) error {
		ch, err := scanCharge(r)
		into[ch.OrderID] = ch
		return err
	}, "SELECT "+chargeColumns+" FROM charges WHERE order_id IN ("+marks(len(args))+")", args...)
}

func scanCharge(r scanner) (order.Charge, error) {
	var ch order.Charge
	err := r.Scan(&ch.OrderID, &ch.ChargeID, &ch.State, &ch.Amount.Amount, &ch.Amount.Currency, &ch.DeclineCode, &ch.CreatedAt, &ch.UpdatedAt, &ch.Attempt)
	ch.CreatedAt, ch.UpdatedAt = ch.CreatedAt.UTC(), ch.UpdatedAt.UTC()
	return ch, err
}

// Get reads an order's line; order.ErrNotFound when no charge was asked for.
func (c *Charges) Get(ctx context.Context, id order.ID) (order.Charge, error) {
	return fetch(ctx, c.db, func(ctx context.Context) (order.Charge, error) { return getCharge(ctx, c.db.ent, id) })
}

func getCharge(ctx context.Context, q querier, id order.ID) (order.Charge, error) {
	return readCharge(ctx, q, id, "")
}

// lockCharge is getCharge that keeps others from changing the line until the commit.
func (db *DB) lockCharge(ctx context.Context, tx *ent.Client, id order.ID) (order.Charge, error) {
	return readCharge(ctx, tx, id, db.forUpdate())
}

func readCharge(ctx context.Context, q querier, id order.ID, lock string) (order.Charge, error) {
	ch, err := scanCharge(queryRow(ctx, q, "SELECT "+chargeColumns+" FROM charges WHERE order_id = ?"+lock, id))
	if errors.Is(err, sql.ErrNoRows) {
		return order.Charge{}, fmt.Errorf("charge of order %s: %w", id, order.ErrNotFound)
	}
	return ch, err
}

// Resolve moves a line from one state to another and answers the line; when it was not in that state, it answers the line as
// it is.
func (c *Charges) Resolve(ctx context.Context, id order.ID, from, to order.ChargeState, declineCode string) (order.Charge, error) {
	var ch order.Charge
	err := c.db.call(ctx, func(ctx context.Context) error {
		now := micro(c.now())
		voided, recheck := voidTimes(to, now)
		_, err := c.db.ent.ExecContext(ctx, "UPDATE charges SET state = ?, decline_code = ?, updated_at = ?, voided_at = ?, recheck_at = ? "+
			"WHERE order_id = ? AND state = ?", to, truncate(declineCode, 64), now, voided, recheck, id, from)
		if err != nil {
			return fmt.Errorf("resolve the charge of %s: %w", id, err)
		}
		ch, err = getCharge(ctx, c.db.ent, id)
		return err
	})
	return ch, err
}

// Void leaves a tombstone, so that the order is never charged: a line that is missing is written as VOIDED under the given
// charge id, and one that is pending or declined becomes VOIDED, so that no other card is tried. One that succeeded is order.ErrFailedPrecondition.
func (c *Charges) Void(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (order.Charge, error) {
	ch, err := c.Record(ctx, order.Charge{OrderID: id, ChargeID: chargeID, State: order.ChargeVoided, Amount: order.Money{Currency: currency}})
	if err == nil {
		ch, err = c.voidUncharged(ctx, ch)
	}
	if err == nil && ch.State.Taken() {
		err = fmt.Errorf("order %s is charged already: %w", id, order.ErrFailedPrecondition)
	}
	return ch, err
}

// Orphans are charges that took money for orders that SQL does not have, although they are old enough to be there: Redis lost
// the order with its data. Their money is to be refunded.
func (c *Charges) Orphans(ctx context.Context, olderThan time.Time, limit int) ([]order.Charge, error) {
	return fetch(ctx, c.db, func(ctx context.Context) ([]order.Charge, error) {
		return collect(ctx, c.db.ent, "charges without orders", scanCharge, "SELECT "+prefixed("c", chargeColumns)+" FROM charges c "+
			"LEFT JOIN orders o ON o.id = c.order_id WHERE c.state = ? AND c.created_at < ? AND o.id IS NULL ORDER BY c.created_at LIMIT ?",
			order.ChargeSucceeded, micro(olderThan), limit)
	})
}
