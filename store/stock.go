package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/product"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Stock keeps what SQL knows of the stock: the units, the epochs, and how much of the journal is applied.
type Stock struct{ db *DB }

// NewStock makes the repository.
func NewStock(db *DB) *Stock { return &Stock{db: db} }

// Snapshot reads the open epoch and the units of the SKUs at its offset in the journal, less those that Redis does not get, in one consistent read.
// Unknown SKUs are absent.
func (s *Stock) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (e journal.Epoch, units map[order.SKU]int64, err error) {
	err = s.db.call(ctx, func(ctx context.Context) (err error) {
		e, units, err = s.snapshot(ctx, partition, skus)
		return err
	})
	return e, units, err
}

func (s *Stock) snapshot(ctx context.Context, partition uint8, skus []order.SKU) (journal.Epoch, map[order.SKU]int64, error) {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.db.isMySQL() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := s.db.ent.BeginTx(ctx, opts)
	if err != nil {
		return journal.Epoch{}, nil, err
	}
	defer func() { _ = tx.Rollback() }() // It only reads.
	e, err := openEpoch(ctx, tx.Client(), partition)
	if err != nil {
		return journal.Epoch{}, nil, err
	}
	units, err := unitsOf(ctx, tx.Client(), skus)
	forRedis := make(map[order.SKU]int64, len(units))
	for sku, u := range units {
		forRedis[sku] = u.Stock - u.Reserve
	}
	return e, forRedis, err
}

func unitsOf(ctx context.Context, client *ent.Client, skus []order.SKU) (map[order.SKU]Units, error) {
	out := make(map[order.SKU]Units, len(skus))
	if len(skus) == 0 {
		return out, nil
	}
	found, err := client.Product.Query().Where(product.IDIn(texts(skus)...)).Select(product.FieldID, product.FieldStock, product.FieldReserve).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the stock of %d SKUs: %w", len(skus), err)
	}
	for _, f := range found {
		out[order.SKU(f.ID)] = Units{Stock: f.Stock, Reserve: f.Reserve}
	}
	return out, nil
}
