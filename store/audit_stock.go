package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// NegativeStock finds SKUs of which there are fewer than none.
func (v *AuditView) NegativeStock(ctx context.Context, each func(Flaw)) (int64, error) {
	return v.ask(ctx, question{
		counts: "SELECT COUNT(*) FROM products",
		flaws:  "SELECT sku, stock FROM products WHERE stock < 0",
		say: func(r []string) Flaw {
			return Flaw{SKU: order.SKU(r[0]), Detail: r[1] + " units are on hand"}
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

// Balances calls each for every SKU that is anywhere.
func (v *AuditView) Balances(ctx context.Context, each func(Balance)) error {
	rows, err := v.tx.QueryContext(ctx, "SELECT sku, SUM(adjusted), SUM(on_hand), SUM(taken) FROM ("+
		"SELECT sku, SUM(delta) AS adjusted, 0 AS on_hand, 0 AS taken FROM stock_adjustments GROUP BY sku "+
		"UNION ALL SELECT sku, 0, stock, 0 FROM products "+
		"UNION ALL SELECT i.sku, 0, 0, SUM(i.quantity) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE NOT "+
		stateIs("o.state", order.Cancelled)+" GROUP BY i.sku) AS b GROUP BY sku ORDER BY sku")
	if err != nil {
		return fmt.Errorf("audit: read the balances: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b Balance
		if err := rows.Scan(&b.SKU, &b.Adjusted, &b.OnHand, &b.Taken); err != nil {
			return fmt.Errorf("audit: read the balances: %w", err)
		}
		each(b)
	}
	return rows.Err()
}

// Returning calls each for every cancellation whose units are not back in stock yet. One whose order is not CANCELLED (yet) is left
// out: its units are still in the order.
func (v *AuditView) Returning(ctx context.Context, each func(id order.ID, units string)) error {
	return v.cancellations(ctx, each, "SELECT x.order_id, x.units FROM order_cancellations x LEFT JOIN orders o ON o.id = x.order_id "+
		"WHERE x.restocked_at IS NULL AND x.units <> '' AND (o.id IS NULL OR "+stateIs("o.state", order.Cancelled)+")")
}

// Restocked calls each for those of the orders whose cancellation has given their units back.
func (v *AuditView) Restocked(ctx context.Context, ids []order.ID, each func(id order.ID, units string)) error {
	return v.cancellations(ctx, each, "SELECT order_id, units FROM order_cancellations WHERE restocked_at IS NOT NULL AND units <> '' AND order_id IN ("+
		marks(len(ids))+")", anys(ids)...)
}

func (v *AuditView) cancellations(ctx context.Context, each func(id order.ID, units string), query string, args ...any) error {
	rows, err := v.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("audit: read the cancellations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id order.ID
		var units string
		if err := rows.Scan(&id, &units); err != nil {
			return fmt.Errorf("audit: read the cancellations: %w", err)
		}
		each(id, units)
	}
	return rows.Err()
}

// CancelledUnits calls each for every cancellation that gives units back and whose order has a row, with the items of that row.
// The items are good until each returns.
func (v *AuditView) CancelledUnits(ctx context.Context, each func(id order.ID, units string, items []order.Delta)) error {
	rows, err := v.tx.QueryContext(ctx, "SELECT x.order_id, x.units, i.sku, i.quantity FROM order_cancellations x JOIN orders o ON o.id = x.order_id "+
		"LEFT JOIN order_items i ON i.order_id = x.order_id WHERE x.units <> '' ORDER BY x.order_id")
	if err != nil {
		return fmt.Errorf("audit: read the cancellations: %w", err)
	}
	defer rows.Close()
	var last order.ID
	var lastUnits string
	var items []order.Delta
	for rows.Next() {
		var id order.ID
		var units string
		var sku sql.NullString
		var n sql.NullInt64
		if err := rows.Scan(&id, &units, &sku, &n); err != nil {
			return fmt.Errorf("audit: read the cancellations: %w", err)
		}
		if id != last && last != "" {
			each(last, lastUnits, items)
			items = items[:0]
		}
		last, lastUnits = id, units
		if sku.Valid {
			items = append(items, order.Delta{SKU: order.SKU(sku.String), Units: n.Int64})
		}
	}
	if last != "" {
		each(last, lastUnits, items)
	}
	return rows.Err()
}

// AppliedRange is a row of the dedup log.
type AppliedRange struct {
	ID              int64
	Partition       uint8
	Epoch           int64
	FirstID, LastID string
	AppliedAt       time.Time
	// Orders is what FormatHolds wrote, or nothing.
	Orders []byte
}

// Applied calls each for every row of the dedup log, oldest first.
func (v *AuditView) Applied(ctx context.Context, each func(AppliedRange)) error {
	rows, err := v.tx.QueryContext(ctx, "SELECT id, partition_no, epoch, first_id, last_id, applied_at, orders FROM stock_dedup_log ORDER BY id")
	if err != nil {
		return fmt.Errorf("audit: read the dedup log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r AppliedRange
		if err := rows.Scan(&r.ID, &r.Partition, &r.Epoch, &r.FirstID, &r.LastID, &r.AppliedAt, &r.Orders); err != nil {
			return fmt.Errorf("audit: read the dedup log: %w", err)
		}
		each(r)
	}
	return rows.Err()
}

// Epochs reads all epochs, oldest first.
func (v *AuditView) Epochs(ctx context.Context) ([]Epoch, error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT "+epochColumns+" FROM stock_epochs ORDER BY partition_no, epoch")
	if err != nil {
		return nil, fmt.Errorf("audit: read the epochs: %w", err)
	}
	defer rows.Close()
	var out []Epoch
	for rows.Next() {
		e, err := scanEpoch(rows)
		if err != nil {
			return nil, fmt.Errorf("audit: read the epochs: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Row is what SQL holds of an order, as far as the stock is concerned.
type Row struct {
	State order.State
	Items []order.Delta
}

// Rows reads the rows of the orders; those that have none are absent.
func (v *AuditView) Rows(ctx context.Context, ids []order.ID) (map[order.ID]Row, error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT o.id, o.state, i.sku, i.quantity FROM orders o LEFT JOIN order_items i ON i.order_id = o.id "+
		"WHERE o.id IN ("+marks(len(ids))+")", anys(ids)...)
	if err != nil {
		return nil, fmt.Errorf("audit: read %d orders: %w", len(ids), err)
	}
	defer rows.Close()
	out := make(map[order.ID]Row, len(ids))
	for rows.Next() {
		var id order.ID
		var state order.State
		var sku sql.NullString
		var n sql.NullInt64
		if err := rows.Scan(&id, &state, &sku, &n); err != nil {
			return nil, fmt.Errorf("audit: read orders: %w", err)
		}
		r := out[id]
		r.State = state
		if sku.Valid {
			r.Items = append(r.Items, order.Delta{SKU: order.SKU(sku.String), Units: n.Int64})
		}
		out[id] = r
	}
	return out, rows.Err()
}
