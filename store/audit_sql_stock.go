package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// NegativeStock finds SKUs of which there are fewer than none.
func (v *AuditView) NegativeStock(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts:     "SELECT COUNT(*) FROM products",
		violations: "SELECT sku, stock FROM products WHERE stock < 0",
		describe: func(r []string) Violation {
			return Violation{SKU: order.SKU(r[0]), Detail: r[1] + " units are on hand"}
		},
	}, each)
}

// Balance is what SQL knows of the units of one SKU.
type Balance struct {
	SKU order.SKU
	// Adjusted is what came in and went out by hand, the first stock included; OnHand what is left; Taken what orders have that
	// are not CANCELLED.
	Adjusted, OnHand, Taken int64
}

// Balances calls take for every SKU that is anywhere.
func (v *AuditView) Balances(ctx context.Context, take func(Balance)) error {
	return each(ctx, v.tx, "the balances", func(r scanner) error {
		var b Balance
		if err := r.Scan(&b.SKU, &b.Adjusted, &b.OnHand, &b.Taken); err != nil {
			return err
		}
		take(b)
		return nil
	}, "SELECT sku, SUM(adjusted), SUM(on_hand), SUM(taken) FROM ("+
		"SELECT sku, SUM(delta) AS adjusted, 0 AS on_hand, 0 AS taken FROM stock_adjustments GROUP BY sku "+
		"UNION ALL SELECT sku, 0, stock, 0 FROM products "+
		"UNION ALL SELECT i.sku, 0, 0, SUM(i.quantity) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE NOT "+
		stateIs("o.state", order.Cancelled)+" GROUP BY i.sku) AS b GROUP BY sku ORDER BY sku")
}

// Returning calls take for every cancellation with units that are not back in stock yet. One of an order that is not CANCELLED (yet) is left
// out: its units are still in the order. That they are back is recorded in stock_returns, and noted in the cancellation later.
func (v *AuditView) Returning(ctx context.Context, take func(id order.ID, units string)) error {
	return v.cancellations(ctx, take, "SELECT x.order_id, x.units FROM order_cancellations x LEFT JOIN orders o ON o.id = x.order_id "+
		"LEFT JOIN stock_returns r ON r.order_id = x.order_id WHERE x.restocked_at IS NULL AND r.order_id IS NULL AND x.units <> '' AND (o.id IS NULL OR "+stateIs("o.state", order.Cancelled)+")")
}

// Restocked calls take for those of the orders that have a cancellation, and have their units back in stock.
func (v *AuditView) Restocked(ctx context.Context, ids []order.ID, take func(id order.ID, units string)) error {
	return v.cancellations(ctx, take, "SELECT x.order_id, x.units FROM order_cancellations x JOIN stock_returns r ON r.order_id = x.order_id "+
		"WHERE x.units <> '' AND x.order_id IN ("+placeholders(len(ids))+")", anys(ids)...)
}

func (v *AuditView) cancellations(ctx context.Context, take func(id order.ID, units string), query string, args ...any) error {
	return each(ctx, v.tx, "the cancellations", func(r scanner) error {
		var id order.ID
		var units string
		if err := r.Scan(&id, &units); err != nil {
			return err
		}
		take(id, units)
		return nil
	}, query, args...)
}

// CancelledUnits calls take for every cancellation that gives units back and has a row of its order, with the items of that row.
// The items are good until take returns.
func (v *AuditView) CancelledUnits(ctx context.Context, take func(id order.ID, units string, items []order.Delta)) error {
	var last order.ID
	var lastUnits string
	var items []order.Delta
	err := each(ctx, v.tx, "the cancellations", func(r scanner) error {
		var id order.ID
		var units string
		var sku sql.NullString
		var n sql.NullInt64
		if err := r.Scan(&id, &units, &sku, &n); err != nil {
			return err
		}
		if id != last && last != "" {
			take(last, lastUnits, items)
			items = items[:0]
		}
		last, lastUnits = id, units
		if sku.Valid {
			items = append(items, order.Delta{SKU: order.SKU(sku.String), Units: n.Int64})
		}
		return nil
	}, "SELECT x.order_id, x.units, i.sku, i.quantity FROM order_cancellations x JOIN orders o ON o.id = x.order_id "+
		"LEFT JOIN order_items i ON i.order_id = x.order_id WHERE x.units <> '' ORDER BY x.order_id")
	if err == nil && last != "" {
		take(last, lastUnits, items)
	}
	return err
}

// AppliedRange is a row of the dedup log.
type AppliedRange struct {
	ID              int64
	Partition       uint8
	Epoch           int64
	FirstID, LastID string
	// PrevID is the last entry before the range; empty when it was not recorded.
	PrevID    string
	AppliedAt time.Time
	// Orders is what FormatHolds wrote, or nothing.
	Orders []byte
}

// Applied calls take for every row of the dedup log, oldest first.
func (v *AuditView) Applied(ctx context.Context, take func(AppliedRange)) error {
	return each(ctx, v.tx, "the dedup log", func(row scanner) error {
		var r AppliedRange
		if err := row.Scan(&r.ID, &r.Partition, &r.Epoch, &r.PrevID, &r.FirstID, &r.LastID, &r.AppliedAt, &r.Orders); err != nil {
			return err
		}
		take(r)
		return nil
	}, "SELECT id, partition_no, epoch, COALESCE(prev_id, ''), first_id, last_id, applied_at, orders FROM stock_dedup_log ORDER BY id")
}

// Epochs reads all epochs, oldest first.
func (v *AuditView) Epochs(ctx context.Context) ([]journal.Epoch, error) {
	found, err := v.tx.StockEpoch.Query().Order(stockepoch.ByPartitionNo(), stockepoch.ByEpoch()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the epochs: %w", err)
	}
	return convert(found, toEpoch), nil
}

// Row is what SQL holds of an order, as far as the stock is concerned.
type Row struct {
	State order.State
	Items []order.Delta
}

// Rows reads the rows of the orders; those that have none are absent.
func (v *AuditView) Rows(ctx context.Context, ids []order.ID) (map[order.ID]Row, error) {
	out := make(map[order.ID]Row, len(ids))
	err := each(ctx, v.tx, fmt.Sprintf("%d orders", len(ids)), func(r scanner) error {
		var id order.ID
		var state order.State
		var sku sql.NullString
		var n sql.NullInt64
		if err := r.Scan(&id, &state, &sku, &n); err != nil {
			return err
		}
		row := out[id]
		row.State = state
		if sku.Valid {
			row.Items = append(row.Items, order.Delta{SKU: order.SKU(sku.String), Units: n.Int64})
		}
		out[id] = row
		return nil
	}, "SELECT o.id, o.state, i.sku, i.quantity FROM orders o LEFT JOIN order_items i ON i.order_id = o.id "+
		"WHERE o.id IN ("+placeholders(len(ids))+")", anys(ids)...)
	return out, err
}
