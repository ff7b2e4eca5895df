package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// maxStockRows bounds the SKUs of one UPDATE. A CASE compares each row with each WHEN, so that twice as many take four times as long: 500 take
// some milliseconds, and a batch may have 100,000. SQLite takes at most 32,766 placeholders.
const maxStockRows = 500

// unitColumn is a column of products with units.
type unitColumn string

const (
	unitsOnHand  unitColumn = "stock"
	unitsReserve unitColumn = "reserve"
)

// changeUnits adds the deltas to the column, in the order of the SKUs.
func (db *DB) changeUnits(ctx context.Context, tx *ent.Client, column unitColumn, deltas map[order.SKU]int64) error {
	skus := slices.Sorted(maps.Keys(deltas))
	skus = slices.DeleteFunc(skus, func(sku order.SKU) bool { return deltas[sku] == 0 })
	for chunk := range slices.Chunk(skus, maxStockRows) {
		if err := db.changeRows(ctx, tx, column, chunk, deltas); err != nil {
			return err
		}
	}
	return nil
}

// changeRows changes the column of some SKUs in one statement. Every id in the IN list has its WHEN, or it would be set to NULL. It is SQL and
// not an ent update because each SKU gets another value: the flusher would need a statement, and a round trip, for each.
func (*DB) changeRows(ctx context.Context, tx *ent.Client, column unitColumn, skus []order.SKU, deltas map[order.SKU]int64) error {
	to := string(column)
	when := strings.Repeat(" WHEN ? THEN "+to+" + ?", len(skus))
	args := make([]any, 0, 3*len(skus)+1)
	for _, sku := range skus {
		args = append(args, sku, deltas[sku])
	}
	args = append(args, micro(time.Now()))
	args = append(args, anys(skus)...)
	r, err := tx.ExecContext(ctx, "UPDATE products SET "+to+" = CASE sku"+when+" END, updated_at = ? WHERE sku IN ("+placeholders(len(skus))+")", args...)
	if err != nil {
		return fmt.Errorf("change the %s of %d SKUs: %w", to, len(skus), err)
	}
	if n, err := r.RowsAffected(); err != nil || n != int64(len(skus)) {
		return errors.Join(err, fmt.Errorf("%d of the SKUs %v exist: %w", n, skus, ErrUnknownSKU))
	}
	return nil
}
