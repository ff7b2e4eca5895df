package store

import (
	"context"
	"slices"
	"time"

	"github.com/spillway/spillway/order"
)

// recheckAges are the ages of a tombstone at which the provider is asked whether it took the money all the same: the request that it was
// sent may have outlived its caller. Providers answer or give up within minutes; an outage of theirs, or of ours, may last hours.
var recheckAges = []time.Duration{time.Minute, 15 * time.Minute, 2 * time.Hour, 24 * time.Hour}

// voidTimes are the columns voided_at and recheck_at of a charge that enters the state now.
func voidTimes(state order.ChargeState, now time.Time) (voided, recheck any) {
	if state != order.ChargeVoided {
		return nil, nil
	}
	return now, now.Add(recheckAges[0])
}

// Recheck is a voided charge whose provider is to be asked once more.
type Recheck struct {
	OrderID order.ID
	// VoidedAt is when the tombstone was written, or last met a charge.
	VoidedAt time.Time
}

// DueRechecks reads up to limit voided charges whose recheck is due, the longest due first.
func (o *Orders) DueRechecks(ctx context.Context, now time.Time, limit int) ([]Recheck, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]Recheck, error) {
		return collect(ctx, o.db.ent, "rechecks", func(r scanner) (c Recheck, err error) {
			err = r.Scan(&c.OrderID, &c.VoidedAt)
			c.VoidedAt = c.VoidedAt.UTC()
			return c, err
		}, "SELECT order_id, voided_at FROM charges WHERE recheck_at <= ? AND state = ? ORDER BY recheck_at, order_id LIMIT ?", micro(now), order.ChargeVoided, limit)
	})
}

// Rechecked schedules the next recheck of each of the charges, at the next age; after the last age there is none. One that was voided or
// asked for anew meanwhile keeps its own.
func (o *Orders) Rechecked(ctx context.Context, done []Recheck, now time.Time) error {
	byAge := make(map[int][]Recheck)
	for _, c := range done {
		i, _ := slices.BinarySearch(recheckAges, now.Sub(c.VoidedAt)+1)
		byAge[i] = append(byAge[i], c)
	}
	for i, group := range byAge {
		if i < len(recheckAges) {
			last := slices.MaxFunc(group, func(a, b Recheck) int { return a.VoidedAt.Compare(b.VoidedAt) })
			if err := o.setRecheck(ctx, group, micro(last.VoidedAt.Add(recheckAges[i])), now); err != nil {
				return err
			}
			continue
		}
		if err := o.setRecheck(ctx, group, nil, now); err != nil {
			return err
		}
	}
	return nil
}

// PutOffRechecks schedules the rechecks of the charges anew, at the time: the provider could not be asked.
func (o *Orders) PutOffRechecks(ctx context.Context, failed []Recheck, at, now time.Time) error {
	return o.setRecheck(ctx, failed, micro(at), now)
}

func (o *Orders) setRecheck(ctx context.Context, charges []Recheck, at any, now time.Time) error {
	if len(charges) == 0 {
		return nil
	}
	args := []any{at, micro(now), order.ChargeVoided}
	for _, c := range charges {
		args = append(args, c.OrderID)
	}
	return o.db.call(ctx, func(ctx context.Context) error {
		_, err := o.db.ent.ExecContext(ctx, "UPDATE charges SET recheck_at = ? WHERE recheck_at <= ? AND state = ? AND order_id IN ("+marks(len(charges))+")", args...)
		return err
	})
}

// Revoid restarts the rechecks of a voided charge: the provider was sent a request just now, and its outcome is not known.
func (c *Charges) Revoid(ctx context.Context, id order.ID) error {
	return c.db.call(ctx, func(ctx context.Context) error {
		voided, recheck := voidTimes(order.ChargeVoided, micro(c.now()))
		_, err := c.db.ent.ExecContext(ctx, "UPDATE charges SET voided_at = ?, recheck_at = ? WHERE order_id = ? AND state = ?", voided, recheck, id, order.ChargeVoided)
		return err
	})
}
