package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/workers"
)

// DrainConfig configures how orders are brought from the journal to SQL and to the carrier. The defaults, and their reasons, are those of
// package workers.
type DrainConfig struct {
	FlushBatch int // journal entries that the stock flusher applies in one transaction, at most
	RelayBatch int // journal entries that the relay takes at once; about one message
	WriteBatch int // orders that the order writer writes in one transaction, at most
	ShipBatch  int // orders that the shipper leases, and writes, in one transaction, at most
	// How long the stock flusher and the relay let a batch grow that would not be full; not with durability sql.
	FlushLinger, RelayLinger time.Duration
	Writers, Shippers        int  // order writers and shippers of this process
	Yields                   bool // RoleAll, not with durability sql: the drain yields to requests
}

func defaultDrain(role Role) DrainConfig {
	return DrainConfig{
		FlushBatch: int(workers.DefaultFlushConfig().Batch), RelayBatch: int(workers.DefaultRelayConfig("", "").Batch),
		WriteBatch: workers.DefaultWriterConfig().Rows, ShipBatch: workers.DefaultShippingConfig().Batch,
		FlushLinger: workers.DefaultFlushLinger, RelayLinger: workers.DefaultRelayLinger, Writers: 1, Shippers: 1,
		Yields: role == RoleAll,
	}
}

// maxDrainBatch is what the batches may have at most: an order has 24 columns, and SQLite takes 32,766 variables in a statement. A transaction
// of as many orders takes some 100 ms, of the 10 s that it has.
const maxDrainBatch = 1000

// maxParallel is how many order writers, and how many shippers, a process may have: each holds a connection to SQL, of 20.
const maxParallel = 8

// maxLinger bounds the lingering: an order passes both, and has its row so much later.
const maxLinger = time.Second

func (c DrainConfig) validate() error {
	var errs []error
	for _, b := range []struct {
		flag    string
		n, most int
	}{
		{"--flush-batch", c.FlushBatch, maxDrainBatch},
		{"--relay-batch", c.RelayBatch, maxDrainBatch},
		{"--write-batch", c.WriteBatch, maxDrainBatch},
		{"--ship-batch", c.ShipBatch, maxDrainBatch},
		{"--order-writers", c.Writers, maxParallel},
		{"--shippers", c.Shippers, maxParallel},
	} {
		if b.n < 1 || b.n > b.most {
			errs = append(errs, fmt.Errorf("%s %d: must be 1 to %d", b.flag, b.n, b.most))
		}
	}
	for flag, d := range map[string]time.Duration{"--flush-linger": c.FlushLinger, "--relay-linger": c.RelayLinger} {
		if d < 0 || d > maxLinger {
			errs = append(errs, fmt.Errorf("%s %s: must be 0 to %s", flag, d, maxLinger))
		}
	}
	return errors.Join(errs...)
}

// relay, writer and ship are the settings of the workers.
func (c DrainConfig) relay(topic, consumer string, journalMax int, embedded bool) workers.RelayConfig {
	out := workers.DefaultRelayConfig(topic, consumer)
	out.Batch = int64(c.RelayBatch)
	if !embedded { // The embedded Redis walks its streams, and is lost with the process.
		out.Keep, out.KeepMax = keepSent, int64(journalMax/keepShare)
	}
	return out
}

const (
	// keepSent is how long the journal keeps entries that were sent: several times as long as what a failover of MySQL loses, and the time until their rows
	// are written. It is less than 40 MB at 5,000 orders a second.
	keepSent = 10 * time.Second
	// keepShare: at most an eighth of what the journal may hold is kept.
	keepShare = 8
)

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
