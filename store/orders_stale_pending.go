package store

import (
	"context"
	"time"

	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/order"
)

// Cursor is where a scan stands that reads orders by the time of their last change.
type Cursor struct {
	At      time.Time
	OrderID order.ID
}

// StalePending reads up to limit orders behind the cursor that have been PENDING since before the time, oldest change first; of those that
// are to be paid later only the ones that have expired at now.
func (o *Orders) StalePending(ctx context.Context, after Cursor, before, now time.Time, limit int) ([]order.Order, error) {
	q := o.db.ent.Order.Query().Where(
		entorder.State(int8(order.Pending)), entorder.UpdatedAtLT(micro(before)), behind(after),
		entorder.Or(entorder.ExpiresAtIsNil(), entorder.ExpiresAtLTE(micro(now))))
	return o.read(ctx, q.Order(entorder.ByUpdatedAt(), entorder.ByID()).Limit(limit))
}
