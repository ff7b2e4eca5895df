package e2e

import (
	"fmt"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestContention_ServerIsKilled: 64 buyers, 100 units, 5,000 attempts, retries, and kill -9 of the server.
func TestContention_ServerIsKilled(t *testing.T) {
	for _, durability := range []string{"journal", "sql"} {
		t.Run(durability, func(t *testing.T) {
			f := newFight(onRealParts(t, realparts.StartRedis(t).Addr(), "--durability", durability, "--customer-orders", "0"))
			f.run(func() {
				for _, n := range []int{15, 45, 75} {
					f.whenPaid(n)
					f.kill()
					f.start()
				}
			})
			f.allTaken()
		})
	}
}

// TestContention_RedisIsKilled: the same with Redis killed and started again on its append-only file.
func TestContention_RedisIsKilled(t *testing.T) {
	for _, durability := range []string{"journal", "sql"} {
		t.Run(durability, func(t *testing.T) {
			redis := realparts.StartRedis(t)
			f := newFight(onRealParts(t, redis.Addr(), "--durability", durability, "--customer-orders", "0"))
			f.run(func() {
				for _, n := range []int{20, 60} {
					f.whenPaid(n)
					redis.Kill9()
					redis.Restart()
				}
			})
			f.allTaken()
		})
	}
}

// TestContention_RedisIsWiped: FLUSHALL in the middle. With durability sql nothing is lost and never more than there is is
// answered as paid. With journal, SQL never has more than there is, and the charges of the lost orders are listed.
func TestContention_RedisIsWiped(t *testing.T) {
	for _, durability := range []string{"journal", "sql"} {
		t.Run(durability, func(t *testing.T) {
			redis := realparts.StartRedis(t)
			f := newFight(onRealParts(t, redis.Addr(), "--durability", durability, "--customer-orders", "0", "--lost-after", "1s", "--repair-after", "5s"))
			f.forgets = durability == "journal" // That is what the setting gives up for its speed.
			f.run(func() {
				f.whenPaid(40)
				flushAll(t, redis.Addr())
			})
			f.quiet()
			f.eventually(drainTime, "units in SQL that add up", func() bool {
				all := int64(f.taken()) + f.stockInSQL()
				// What was deducted for an order that was lost before its row was written comes back later: see totalsAddUp.
				return all == fightUnits || durability != "sql" && all < fightUnits
			})
			t.Logf("paid %d, pending %d, sold out %d; rows %v, stock %d", len(f.paid), len(f.pending), f.soldOut, f.rows(), f.stockInSQL())
			if durability == "sql" {
				f.nothingLost()
				if len(f.paid) > fightUnits {
					t.Errorf("%d orders were answered as paid for %d units", len(f.paid), fightUnits)
				}
			}
			f.lostChargesAreListed()
			f.totalsAddUp()
		})
	}
}

func flushAll(t *testing.T, addr string) {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if err := c.Do(t.Context(), c.B().Flushall().Build()).Error(); err != nil {
		t.Error(err)
	}
}

// TestEmbedded_SurvivesAKill: each order that was answered is there after kill -9, and the stock adds up.
func TestEmbedded_SurvivesAKill(t *testing.T) {
	s := embedded(t, "--customer-orders", "0")
	sku := order.SKU(s.product(1000))
	var mu sync.Mutex
	answered := map[string]bool{}
	for range 3 {
		var wg sync.WaitGroup
		enough := make(chan struct{}, 1)
		before := len(answered)
		for b := range 8 {
			token := s.guest()
			wg.Go(func() {
				for i := 0; ; i++ {
					r, err := s.call("CheckoutService/PlaceOrder", token, orderBody(string(sku), 1, goodCard), "Idempotency-Key", fmt.Sprint(b, "-", i))
					if err != nil {
						return // It was killed.
					}
					mu.Lock()
					if r.Order.State == "ORDER_STATE_PAID" {
						answered[r.Order.ID] = true
					}
					n := len(answered)
					mu.Unlock()
					if n >= before+40 {
						select {
						case enough <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		_ = receive(t, giveUp, "orders to be answered as paid", enough)
		s.kill()
		wg.Wait()
		s.start()
	}
	db := s.db()
	orders := store.NewOrders(db)
	for id := range answered {
		if o, err := orders.Get(t.Context(), order.ID(id)); err != nil || !o.State.Follows(order.Paid) {
			t.Errorf("order %s was answered as paid; SQL has %v (%v)", id, o.State, err)
		}
	}
	_, units, err := store.NewStock(db).Snapshot(t.Context(), 0, []order.SKU{sku})
	if err != nil {
		t.Fatal(err)
	}
	taken, err := orders.UnitsTaken(t.Context(), sku)
	if err != nil || units[sku]+taken != 1000 {
		t.Errorf("%d in stock and %d taken (%v); want 1000 together", units[sku], taken, err)
	}
	t.Logf("%d orders were answered; %d units are taken", len(answered), taken)
}
