package store

import (
	"context"
	"fmt"
	"maps"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/stockadjustment"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/order"
)

// FindAdjustment reads an adjustment; order.ErrNotFound when it was never made.
func (s *Stock) FindAdjustment(ctx context.Context, id string) (order.Adjustment, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (order.Adjustment, error) {
		found, err := s.db.ent.StockAdjustment.Get(ctx, id)
		if ent.IsNotFound(err) {
			return order.Adjustment{}, order.ErrNotFound
		}
		if err != nil {
			return order.Adjustment{}, err
		}
		return order.Adjustment{
			ID: id, SKU: order.SKU(found.Sku), Units: found.Delta, Reason: found.Reason, Actor: found.Actor, At: found.CreatedAt,
		}, nil
	})
}

// withoutMade returns the range without adjustments that were made in SQL while it took the place of Redis. Such an adjustment was sent to a Redis that did not
// respond, and was sent again, now to SQL; Redis took the first call when it ran on. Its units are in the stock once, and no counter that is still in use has
// them: the epoch is closed. In an open epoch a second entry of an adjustment is a defect, and remains a row error. Until the commit, no adjustment is made in
// SQL.
func (s *Stock) withoutMade(ctx context.Context, tx *ent.Client, r Range) (Range, error) {
	if len(r.Adjustments) == 0 {
		return r, nil
	}
	undrained, err := tx.StockEpoch.Query().Where(
		stockepoch.PartitionNo(int16(r.Partition)), stockepoch.Epoch(r.Epoch), stockepoch.Undrained(true),
	).Exist(ctx)
	if err != nil || !undrained {
		return r, err
	}
	if err := s.lockSQLSteps(ctx, tx, r); err != nil {
		return r, err
	}
	ids := make([]string, len(r.Adjustments))
	for i, a := range r.Adjustments {
		ids[i] = a.ID
	}
	made, err := adjustmentsAmong(ctx, tx, ids)
	if err != nil {
		return r, err
	}
	wanted, deltas := make([]order.Adjustment, 0, len(r.Adjustments)), maps.Clone(r.Deltas)
	for _, a := range r.Adjustments {
		if made[a.ID] == (order.Delta{SKU: a.SKU, Units: a.Units}) {
			deltas[a.SKU] -= a.Units
			continue
		}
		wanted = append(wanted, a)
	}
	r.Adjustments, r.Deltas = wanted, deltas
	return r, nil
}

// lockSQLSteps waits for the batch of steps that is being taken in SQL, and keeps the next ones from beginning until the commit. The epoch of the range is
// undrained, so the one after it is open with journal.ModeSQL, and stays so: its row is locked after that of the range's epoch, and before the products, as
// by all others. There is none if the epoch is still open.
func (s *Stock) lockSQLSteps(ctx context.Context, tx *ent.Client, r Range) error {
	_, err := locked(s.db, tx.StockEpoch.Query().Where(stockepoch.PartitionNo(int16(r.Partition)), stockepoch.Epoch(r.Epoch+1))).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return fmt.Errorf("lock epoch %d: %w", r.Epoch+1, err)
	}
	return nil
}

// adjustmentsAmong reads those of the adjustments that were made.
func adjustmentsAmong(ctx context.Context, client *ent.Client, ids []string) (map[string]order.Delta, error) {
	out := make(map[string]order.Delta)
	if len(ids) == 0 {
		return out, nil
	}
	found, err := client.StockAdjustment.Query().Where(stockadjustment.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read adjustments: %w", err)
	}
	for _, f := range found {
		out[f.ID] = order.Delta{SKU: order.SKU(f.Sku), Units: f.Delta}
	}
	return out, nil
}

// maxAdjustmentReason is the length of stock_adjustments.reason, in characters.
const maxAdjustmentReason = 200

func (*Stock) adjust(ctx context.Context, tx *ent.Client, adjustments []order.Adjustment) error {
	for _, a := range adjustments {
		err := tx.StockAdjustment.Create().SetID(a.ID).SetSku(string(a.SKU)).SetDelta(a.Units).SetReason(truncate(a.Reason, maxAdjustmentReason)).
			SetActor(truncate(a.Actor, maxActor)).SetCreatedAt(micro(a.At)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("adjustment %s: %w", a.ID, err)
		}
	}
	return nil
}
