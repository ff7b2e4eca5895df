package app

import (
	"errors"
	"fmt"

	"github.com/spillway/spillway/workers"
)

// DrainConfig configures how orders are brought from the journal to SQL and to the carrier. The defaults, and their reasons, are those of
// package workers.
type DrainConfig struct {
	FlushBatch int // journal entries that the stock flusher applies in one transaction, at most
	RelayBatch int // journal entries that the relay takes at once; about one message
	WriteBatch int // orders that the order writer writes in one transaction, at most
	ShipBatch  int // orders that the shipper leases, and writes, in one transaction, at most
}

func defaultDrain() DrainConfig {
	return DrainConfig{
		FlushBatch: int(workers.DefaultFlushConfig().Batch), RelayBatch: int(workers.DefaultRelayConfig("", "").Batch),
		WriteBatch: workers.DefaultWriterConfig().Rows, ShipBatch: workers.DefaultShippingConfig().Batch,
	}
}

// maxDrainBatch is what the batches may have at most: an order has 24 columns, and SQLite takes 32,766 variables in a statement. A transaction
// of as many orders takes some 100 ms, of the 10 s that it has.
const maxDrainBatch = 1000

func (c DrainConfig) validate() error {
	var errs []error
	for _, b := range []struct {
		flag string
		n    int
	}{{"--flush-batch", c.FlushBatch}, {"--relay-batch", c.RelayBatch}, {"--write-batch", c.WriteBatch}, {"--ship-batch", c.ShipBatch}} {
		if b.n < 1 || b.n > maxDrainBatch {
			errs = append(errs, fmt.Errorf("%s %d: must be 1 to %d", b.flag, b.n, maxDrainBatch))
		}
	}
	return errors.Join(errs...)
}

// relay, writer and ship are the settings of the workers.
func (c DrainConfig) relay(topic, consumer string) workers.RelayConfig {
	out := workers.DefaultRelayConfig(topic, consumer)
	out.Batch = int64(c.RelayBatch)
	return out
}

func (c DrainConfig) writer() workers.WriterConfig {
	out := workers.DefaultWriterConfig()
	out.Rows = c.WriteBatch
	return out
}

func (c DrainConfig) ship() workers.ShipConfig {
	out := workers.DefaultShipConfig()
	out.Shipping.Batch = c.ShipBatch
	return out
}
