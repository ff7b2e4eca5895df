package server

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// testBooks lets the stock package see SQL.
type testBooks struct{ *store.Stock }

func testEpoch(e store.Epoch) stock.Epoch {
	return stock.Epoch{Number: e.Number, RunID: e.RunID, LastID: e.LastID, OpenedAt: e.OpenedAt, Closed: e.Closed}
}

func (b testBooks) OpenEpoch(ctx context.Context, partition uint8) (stock.Epoch, error) {
	e, err := b.Stock.OpenEpoch(ctx, partition)
	if errors.Is(err, store.ErrNoEpoch) {
		return stock.Epoch{}, order.ErrNotFound
	}
	return testEpoch(e), err
}

func (b testBooks) EpochAt(ctx context.Context, partition uint8, number int64) (stock.Epoch, error) {
	e, err := b.Stock.EpochAt(ctx, partition, number)
	return testEpoch(e), err
}

func (b testBooks) NextEpoch(ctx context.Context, partition uint8, expect int64, runID string) (stock.Epoch, error) {
	e, err := b.CloseAndOpen(ctx, partition, expect, runID)
	return testEpoch(e), err
}

func (b testBooks) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (stock.Epoch, map[order.SKU]int64, error) {
	e, units, err := b.Stock.Snapshot(ctx, partition, skus)
	return testEpoch(e), units, err
}

type permitAll struct{}

func (permitAll) Permit() error          { return nil }
func (permitAll) Report(error)           {}
func (permitAll) Timeout() time.Duration { return testWait }

// instantly is durability journal.
type instantly struct{}

func (instantly) Wait(context.Context, stock.Position, order.ID) error { return nil }

// stubPrices sells everything at 10 EUR.
type stubPrices struct{}

func (stubPrices) Prices(_ context.Context, skus []order.SKU) (map[order.SKU]Priced, error) {
	out := make(map[order.SKU]Priced, len(skus))
	for _, sku := range skus {
		out[sku] = Priced{Name: string(sku), Price: order.Money{Currency: "EUR", Amount: 1000}}
	}
	return out, nil
}

// stubCarts are empty.
type stubCarts struct{}

func (stubCarts) Contents(context.Context, order.CustomerID) ([]order.Demand, error) { return nil, nil }
func (stubCarts) EmptyIf(context.Context, order.CustomerID, []order.Demand) error    { return nil }

// stubQuoter ships for 2 EUR.
type stubQuoter struct{}

func (stubQuoter) Quote(_ context.Context, _ order.Address, _ []order.Demand, currency order.Currency) (order.Money, error) {
	return order.Money{Currency: currency, Amount: 200}, nil
}
