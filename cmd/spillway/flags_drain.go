package main

import "github.com/spillway/spillway/app"

// drainFlags configure how orders are brought to SQL and to the carrier.
type drainFlags struct {
	FlushBatch int `name:"flush-batch" env:"SPILLWAY_FLUSH_BATCH" default:"${flush_batch}" help:"How many journal entries the stock flusher applies in one transaction at most: 1 to 1000."`
	RelayBatch int `name:"relay-batch" env:"SPILLWAY_RELAY_BATCH" default:"${relay_batch}" help:"How many journal entries the relay puts into one message of the queue at most: 1 to 1000. Messages are split at 1 MiB."`
	WriteBatch int `name:"write-batch" env:"SPILLWAY_WRITE_BATCH" default:"${write_batch}" help:"How many orders the order writer writes in one transaction at most: 1 to 1000."`
	ShipBatch  int `name:"ship-batch" env:"SPILLWAY_SHIP_BATCH" default:"${ship_batch}" help:"How many orders the shipper leases, and writes as shipped, in one transaction at most: 1 to 1000."`
}

func (f drainFlags) config() app.DrainConfig {
	return app.DrainConfig{FlushBatch: f.FlushBatch, RelayBatch: f.RelayBatch, WriteBatch: f.WriteBatch, ShipBatch: f.ShipBatch}
}
