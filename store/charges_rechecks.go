package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent/charge"
	"github.com/spillway/spillway/order"
)

// recheckAges are the ages of a tombstone at which PaymentService queries the provider whether it took the money all the same: the request that it was
// sent may have outlived its caller. Providers answer or give up within minutes; an outage of theirs, or of ours, may last hours.
var recheckAges = []time.Duration{time.Minute, 15 * time.Minute, 2 * time.Hour, 24 * time.Hour}

// voidTimes are the columns voided_at and recheck_at of a charge that enters the state now.
func voidTimes(state order.ChargeState, now time.Time) (voided, recheck *time.Time) {
	if state != order.ChargeVoided {
		return nil, nil
	}
	first := now.Add(recheckAges[0])
	return &now, &first
}

// Recheck is a voided charge that is to be checked with the provider once more.
type Recheck struct {
	OrderID order.ID
	// VoidedAt is when the tombstone was written, or last met a charge.
	VoidedAt time.Time
}

// DueRechecks reads up to limit voided charges with a recheck that is due, the longest due first.
func (o *Orders) DueRechecks(ctx context.Context, now time.Time, limit int) ([]Recheck, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]Recheck, error) {
		found, err := o.db.ent.Charge.Query().Where(charge.RecheckAtLTE(micro(now)), charge.State(int8(order.ChargeVoided))).
			Order(charge.ByRecheckAt(), charge.ByID()).Limit(limit).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read rechecks: %w", err)
		}
		out := make([]Recheck, len(found))
		for i, f := range found {
			if out[i].OrderID = order.ID(f.ID); f.VoidedAt != nil {
				out[i].VoidedAt = f.VoidedAt.UTC()
			}
		}
		return out, nil
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
			if err := o.setRecheck(ctx, group, last.VoidedAt.Add(recheckAges[i]), now); err != nil {
				return err
			}
			continue
		}
		if err := o.setRecheck(ctx, group, time.Time{}, now); err != nil {
			return err
		}
	}
	return nil
}

// DeferRechecks schedules the rechecks of the charges anew, at the time: the provider was unavailable.
func (o *Orders) DeferRechecks(ctx context.Context, failed []Recheck, at, now time.Time) error {
	return o.setRecheck(ctx, failed, at, now)
}

// setRecheck schedules rechecks; the zero time is never.
func (o *Orders) setRecheck(ctx context.Context, charges []Recheck, at, now time.Time) error {
	if len(charges) == 0 {
		return nil
	}
	ids := convert(charges, func(c Recheck) string { return string(c.OrderID) })
	change := o.db.ent.Charge.Update().Where(charge.RecheckAtLTE(micro(now)), charge.State(int8(order.ChargeVoided)), charge.IDIn(ids...))
	if at.IsZero() {
		change.ClearRecheckAt()
	} else {
		change.SetRecheckAt(micro(at))
	}
	return o.db.call(ctx, change.Exec)
}

// RestartRechecks restarts the rechecks of a voided charge: the provider was sent a request just now, and its outcome is not known.
func (c *Charges) RestartRechecks(ctx context.Context, id order.ID) error {
	return c.db.call(ctx, func(ctx context.Context) error {
		voided, recheck := voidTimes(order.ChargeVoided, micro(c.now()))
		return c.db.ent.Charge.Update().Where(charge.ID(string(id)), charge.State(int8(order.ChargeVoided))).
			SetNillableVoidedAt(voided).SetNillableRecheckAt(recheck).Exec(ctx)
	})
}
