package store

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
)

// BookLine is the balance of one SKU: what came in is on hand, held, sold or returning.
type BookLine struct {
	SKU  order.SKU
	Name string
	// Initial came with the product, Restocked is what was adjusted since.
	Initial, Restocked int64
	// OnHand is left; Held is in PENDING orders, Sold in paid ones; Returning is on its way from cancelled orders.
	OnHand, Held, Sold, Returning int64
}

// Difference is what is missing; negative if there is too much.
func (b BookLine) Difference() int64 {
	return b.Initial + b.Restocked - b.OnHand - b.Held - b.Sold - b.Returning
}

// Books reads the balances of up to limit SKUs after the given one, in their order, in one view of SQL, and when it was read.
func (a *Audits) Books(ctx context.Context, after order.SKU, limit int) (lines []BookLine, read time.Time, err error) {
	err = a.View(ctx, Horizon{}, func(ctx context.Context, v *AuditView) error {
		read = time.Now()
		lines, err = v.books(ctx, after, limit)
		return err
	})
	return lines, read, err
}

func (v *AuditView) books(ctx context.Context, after order.SKU, limit int) (lines []BookLine, err error) {
	err = each(ctx, v.tx, "the products", func(s scanner) error {
		var b BookLine
		err := s.Scan(&b.SKU, &b.Name, &b.OnHand)
		lines = append(lines, b)
		return err
	}, "SELECT sku, name, stock FROM products WHERE sku > ? ORDER BY sku LIMIT ?", string(after), limit)
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	at, args := make(map[order.SKU]*BookLine, len(lines)), make([]any, len(lines))
	for i := range lines {
		at[lines[i].SKU], args[i] = &lines[i], string(lines[i].SKU)
	}
	if err := v.addAdjusted(ctx, at, args); err != nil {
		return nil, err
	}
	if err := v.addTaken(ctx, at, args); err != nil {
		return nil, err
	}
	var bad error
	err = v.Returning(ctx, func(_ order.ID, units string) {
		deltas, err := order.ParseDeltas(units)
		if err != nil {
			bad = err
		}
		for _, d := range deltas {
			if b := at[d.SKU]; b != nil {
				b.Returning += d.Units
			}
		}
	})
	if err == nil {
		err = bad
	}
	return lines, err
}

// addAdjusted adds what came in and went out by hand. The first stock has the id "initial:SKU".
func (v *AuditView) addAdjusted(ctx context.Context, at map[order.SKU]*BookLine, skus []any) error {
	return each(ctx, v.tx, "the adjustments", func(s scanner) error {
		var sku order.SKU
		var initial, all int64
		if err := s.Scan(&sku, &initial, &all); err != nil {
			return err
		}
		at[sku].Initial, at[sku].Restocked = initial, all-initial
		return nil
	}, "SELECT sku, SUM(CASE WHEN adjustment_id LIKE 'initial:%' AND reason = 'initial stock' THEN delta ELSE 0 END), SUM(delta) FROM stock_adjustments "+
		"WHERE sku IN ("+placeholders(len(skus))+") GROUP BY sku", skus...)
}

// addTaken adds the units of orders that are not CANCELLED.
func (v *AuditView) addTaken(ctx context.Context, at map[order.SKU]*BookLine, skus []any) error {
	return each(ctx, v.tx, "the units of orders", func(s scanner) error {
		var sku order.SKU
		var held, all int64
		if err := s.Scan(&sku, &held, &all); err != nil {
			return err
		}
		at[sku].Held, at[sku].Sold = held, all-held
		return nil
	}, "SELECT i.sku, SUM(CASE WHEN "+stateIs("o.state", order.Pending)+" THEN i.quantity ELSE 0 END), SUM(i.quantity) "+
		"FROM order_items i JOIN orders o ON o.id = i.order_id WHERE i.sku IN ("+placeholders(len(skus))+") AND NOT "+
		stateIs("o.state", order.Cancelled)+" GROUP BY i.sku", skus...)
}
