package stock_test

import (
	"context"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// frozenFor is longer than an epoch is used without being confirmed.
const frozenFor = 13 * time.Second

// TestEpochs_FrozenSQL does not respond, so that each check waits for it. The epoch goes on, as it does when SQL refuses connections.
func TestEpochs_FrozenSQL(t *testing.T) {
	t.Parallel() // It waits.
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	frozen := &frozenSQL{EpochStore: s.sql}
	s.epochs = s.newEpochs(frozen, nil, "journal")
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	frozen.frozen = true
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.epochs.Run(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	for began := time.Now(); time.Since(began) < frozenFor; {
		if _, err := s.epochs.Current(); err != nil {
			t.Fatalf("%s after SQL froze: %v", time.Since(began).Round(100*time.Millisecond), err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// frozenSQL does not respond while it is frozen.
type frozenSQL struct {
	journal.EpochStore

	frozen bool
}

func (f *frozenSQL) OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error) {
	if f.frozen {
		<-ctx.Done()
		return journal.Epoch{}, ctx.Err()
	}
	return f.EpochStore.OpenEpoch(ctx, partition)
}
