package main

import (
	"time"

	"github.com/spillway/spillway/app"
)

// drainFlags configure how orders are brought to SQL and to the carrier.
type drainFlags struct {
	FlushBatch int `name:"flush-batch" env:"SPILLWAY_FLUSH_BATCH" default:"${flush_batch}" help:"How many journal entries the stock flusher applies in one transaction at most: 1 to 1000."`
	RelayBatch int `name:"relay-batch" env:"SPILLWAY_RELAY_BATCH" default:"${relay_batch}" help:"How many journal entries the relay puts into one message of the queue at most: 1 to 1000. Messages are split at 1 MiB."`
	WriteBatch int `name:"write-batch" env:"SPILLWAY_WRITE_BATCH" default:"${write_batch}" help:"How many orders the order writer writes in one transaction at most: 1 to 1000."`
	ShipBatch  int `name:"ship-batch" env:"SPILLWAY_SHIP_BATCH" default:"${ship_batch}" help:"How many orders the shipper leases, and writes as shipped, in one transaction at most: 1 to 1000."`

	FlushLinger time.Duration `name:"flush-linger" env:"SPILLWAY_FLUSH_LINGER" default:"${flush_linger}" help:"How long the stock flusher waits after a batch that was not full, so that the next one is larger: 0s to 1s. Not with durability sql, where responses wait for it."`
	RelayLinger time.Duration `name:"relay-linger" env:"SPILLWAY_RELAY_LINGER" default:"${relay_linger}" help:"The same of the relay. An order has its row later by both at most."`
	Writers     int           `name:"order-writers" env:"SPILLWAY_ORDER_WRITERS" default:"${order_writers}" help:"How many order writers this process runs in parallel: 1 to 8. More than one is faster only if SQL has processors to spare."`
	Shippers    int           `name:"shippers" env:"SPILLWAY_SHIPPERS" default:"${shippers}" help:"How many shippers this process runs in parallel: 1 to 8. Together they call the carrier for at most 10 orders at once."`
}

func (f drainFlags) config() app.DrainConfig {
	return app.DrainConfig{
		FlushBatch: f.FlushBatch, RelayBatch: f.RelayBatch, WriteBatch: f.WriteBatch, ShipBatch: f.ShipBatch,
		FlushLinger: f.FlushLinger, RelayLinger: f.RelayLinger, Writers: f.Writers, Shippers: f.Shippers,
	}
}
