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

// deduct changes the stock of all SKUs in one statement. Every id in the IN list has its WHEN, or it would be set to NULL. It is SQL and
// not an ent update because each SKU gets another value: the flusher would need a statement, and a round trip, for each.
func (*Stock) deduct(ctx context.Context, tx *ent.Client, deltas map[order.SKU]int64) error {
	skus := slices.Sorted(maps.Keys(deltas))
	skus = slices.DeleteFunc(skus, func(sku order.SKU) bool { return deltas[sku] == 0 })
	if len(skus) == 0 {
		return nil
	}
	var when strings.Builder
	args := make([]any, 0, 3*len(skus)+1)
	for _, sku := range skus {
		when.WriteString(" WHEN ? THEN stock + ?")
		args = append(args, sku, deltas[sku])
	}
	args = append(args, micro(time.Now()))
	args = append(args, anys(skus)...)
	r, err := tx.ExecContext(ctx, "UPDATE products SET stock = CASE sku"+when.String()+" END, updated_at = ? WHERE sku IN ("+placeholders(len(skus))+")", args...)
	if err != nil {
		return fmt.Errorf("change the stock of %d SKUs: %w", len(skus), err)
	}
	if n, err := r.RowsAffected(); err != nil || n != int64(len(skus)) {
		return errors.Join(err, fmt.Errorf("%d of the SKUs %v exist: %w", n, skus, ErrUnknownSKU))
	}
	return nil
}
