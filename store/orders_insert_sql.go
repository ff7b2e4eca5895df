package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// KeyOwner is the order that a customer placed with an idempotency key.
type KeyOwner struct {
	ID          order.ID
	Fingerprint []byte
}

// Key is an idempotency key of a customer.
type Key struct {
	Customer order.CustomerID
	Key      string
}

func keyOf(o order.Order) Key { return Key{o.CustomerID, o.IdempotencyKey} }

// insertOrders inserts orders that do not exist, with their items. Those with the key of another order become duplicates. It looks for the
// keys' owners only after the unique index has refused a key, because that happens only when Redis has lost a record.
func (db *DB) insertOrders(ctx context.Context, tx *ent.Client, changes []order.Event) ([]Duplicate, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	duplicates, err := insertRows(ctx, tx, changes, make(map[Key]order.ID))
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
func insertRows(ctx context.Context, tx *ent.Client, changes []order.Event, taken map[Key]order.ID) ([]Duplicate, error) {
	var duplicates []Duplicate
	args := make([]any, 0, len(changes)*25)
	for _, c := range changes {
		of, dup := taken[keyOf(c.Order)]
		if dup {
			duplicates = append(duplicates, Duplicate{ID: c.Order.ID, Of: of})
		} else {
			taken[keyOf(c.Order)] = c.Order.ID
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
	keys := convert(changes, func(c order.Event) Key { return keyOf(c.Order) })
	owners, err := db.keyOwners(ctx, tx, keys)
	if err != nil {
		return nil, err
	}
	taken := make(map[Key]order.ID, len(owners))
	for k, o := range owners {
		taken[k] = o.ID
	}
	for _, c := range changes {
		if taken[keyOf(c.Order)] == c.Order.ID {
			return nil, refused
		}
	}
	return insertRows(ctx, tx, changes, taken)
}

// keyOwners returns the orders that have the keys already.
func (db *DB) keyOwners(ctx context.Context, tx *ent.Client, keys []Key) (map[Key]KeyOwner, error) {
	out := make(map[Key]KeyOwner)
	if len(keys) == 0 {
		return out, nil
	}
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k.Customer, k.Key)
	}
	pairs := tuples(len(keys), "(?,?)")
	if !db.isMySQL() {
		pairs = "VALUES " + pairs
	}
	err := each(ctx, tx, fmt.Sprintf("the owners of %d keys", len(keys)), func(r scanner) error {
		var k Key
		var o KeyOwner
		err := r.Scan(&k.Customer, &k.Key, &o.ID, &o.Fingerprint)
		out[k] = o
		return err
	}, "SELECT customer_id, idempotency_key, id, fingerprint FROM orders WHERE (customer_id, idempotency_key) IN ("+pairs+")", args...)
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
