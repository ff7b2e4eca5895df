package stock

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// countersTimeout bounds the reading of all counters of an epoch: some thousand products take milliseconds.
const countersTimeout = 5 * time.Second

// Counters are the counters of one epoch in Redis, at one moment.
type Counters struct {
	// Epoch is the open epoch; 0 when Redis has none.
	Epoch int64
	// LastID is the id of the last journal entry of the epoch that was read; empty when the journal has none (any more).
	LastID string
	// Units are the units left, by SKU, of the loaded counters.
	Units map[order.SKU]int64
}

// ReadCounters reads the counters of the given epoch. It returns order.ErrUnavailable when Redis cannot be reached.
func ReadCounters(ctx context.Context, conn *redisconn.Conn, keys journal.Keys, epoch int64) (Counters, error) {
	ctx, cancel := context.WithTimeout(ctx, countersTimeout)
	defer cancel()
	reply, err := newScripts().counters.Exec(ctx, conn.Client(), []string{keys.Epoch(), keys.Journal(epoch), keys.Stock(epoch)}, nil).AsStrSlice()
	if err != nil {
		return Counters{}, fmt.Errorf("read the counters in Redis: %w: %w", order.ErrUnavailable, err)
	}
	out := Counters{LastID: reply[1], Units: make(map[order.SKU]int64, len(reply)/2)}
	if reply[0] != "" {
		if out.Epoch, err = strconv.ParseInt(reply[0], 10, 64); err != nil {
			return Counters{}, fmt.Errorf("the epoch in Redis: %w", err)
		}
	}
	for i := 2; i+1 < len(reply); i += 2 {
		n, err := strconv.ParseInt(reply[i+1], 10, 64)
		if err != nil {
			return Counters{}, fmt.Errorf("the counter of %s in Redis: %w", reply[i], err)
		}
		out.Units[order.SKU(reply[i])] = n
	}
	return out, nil
}
