package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// owner is a customer and an idempotency key.
type owner struct{ customer, key string }

func ownerOf(o order.Order) owner { return owner{string(o.CustomerID), o.IdempotencyKey} }

// insertOrders inserts orders that do not exist, with their items. Those with the key of another order become duplicates. It looks for the
// keys' owners only after the unique index has refused a key, because that happens only when Redis has lost a record.
func (db *DB) insertOrders(ctx context.Context, tx *ent.Client, changes []order.Event) ([]Duplicate, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	duplicates, err := insertRows(ctx, tx, changes, make(map[owner]order.ID))
	if isDuplicate(err) {
		duplicates, err = db.insertBesideOwners(ctx, tx, changes, err)
	}
	if err != nil {
		return nil, fmt.Errorf("insert %d orders: %w", len(changes), raced(err))
	}
	if err := db.insertItems(ctx, tx, changes); err != nil {
		return nil, err
	}
	return duplicates, db.cancelLost(ctx, tx, changes)
}

// insertRows inserts the rows of orders. It makes duplicates of those with a key that is in taken, to which it adds the others' keys.
func insertRows(ctx context.Context, tx *ent.Client, changes []order.Event, taken map[owner]order.ID) ([]Duplicate, error) {
	var duplicates []Duplicate
	args := make([]any, 0, len(changes)*25)
	for _, c := range changes {
		of, dup := taken[ownerOf(c.Order)]
		if dup {
			duplicates = append(duplicates, Duplicate{ID: c.Order.ID, Of: of})
		} else {
			taken[ownerOf(c.Order)] = c.Order.ID
		}
		args = appendOrder(args, c, of)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO orders ("+orderColumns+") VALUES "+tuples(len(changes), orderMarks), args...)
	return duplicates, err
}

// insertBesideOwners inserts the rows after refused, the error of a duplicate, which has undone the first INSERT. The owners of the keys are
// committed: an INSERT waits for a transaction that has not decided. It returns refused if an order itself was inserted by another
// transaction meanwhile; then the transaction is run again.
func (db *DB) insertBesideOwners(ctx context.Context, tx *ent.Client, changes []order.Event, refused error) ([]Duplicate, error) {
	taken, err := db.keyOwners(ctx, tx, changes)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if taken[ownerOf(c.Order)] == c.Order.ID {
			return nil, refused
		}
	}
	return insertRows(ctx, tx, changes, taken)
}

// keyOwners returns the orders that have the keys already.
func (db *DB) keyOwners(ctx context.Context, tx *ent.Client, changes []order.Event) (map[owner]order.ID, error) {
	args := make([]any, 0, 2*len(changes))
	for _, c := range changes {
		args = append(args, c.Order.CustomerID, c.Order.IdempotencyKey)
	}
	pairs := tuples(len(changes), "(?,?)")
	if !db.isMySQL() {
		pairs = "VALUES " + pairs
	}
	out := make(map[owner]order.ID)
	err := each(ctx, tx, fmt.Sprintf("the owners of %d keys", len(changes)), func(r scanner) error {
		var o owner
		var id order.ID
		err := r.Scan(&o.customer, &o.key, &id)
		out[o] = id
		return err
	}, "SELECT customer_id, idempotency_key, id FROM orders WHERE (customer_id, idempotency_key) IN ("+pairs+")", args...)
	return out, err
}

// cancelLost brings those of the inserted orders to CANCELLED that were declared lost with their Redis and turned up after all: their
// money and their units are on the way back. It comes after the INSERT. A cancellation that is committed by then is found here; for one that
// is committed later, Cancellations.EnsureCancelled waits for the rows of this transaction, and cancels the order.
func (db *DB) cancelLost(ctx context.Context, tx *ent.Client, changes []order.Event) error {
	lost, err := cancelledAmong(ctx, tx, ids(changes))
	if err != nil || len(lost) == 0 {
		return err
	}
	var moves []order.Event
	for _, c := range changes {
		if reason, ok := lost[c.Order.ID]; ok {
			c.To, c.Reason = order.Cancelled, reason
			moves = append(moves, c)
		}
	}
	return db.move(ctx, tx, order.Cancelled, moves)
}
