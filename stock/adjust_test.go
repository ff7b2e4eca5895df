package stock_test

import (
	"errors"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// TestAdjust_SentAgainInTheNextEpoch: the first attempt is in SQL, and Redis lost its record. Made again, it would raise the counter beyond
// SQL's stock (I1, I2).
func TestAdjust_SentAgainInTheNextEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		a := order.Adjustment{ID: "a", SKU: "A", Units: 5, Reason: "r", Actor: "op"}
		if _, _, err := s.Adjust(t.Context(), 1, a); err != nil {
			t.Fatal(err)
		}
		s.flushAll(t)
		c := s.redis.Client()
		gone := []string{s.keys.Epoch(), s.keys.Journal(1), s.keys.Stock(1), s.keys.Adjusted(a.ID)}
		if err := c.Do(t.Context(), c.B().Del().Key(gone...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, left, err := s.Adjust(t.Context(), 1, a); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("sent again in the next epoch: %d left (%v); want ErrUnavailable", left, err)
		}
		s.wantLeft(t, "A", 15)
	})
}
