package e2e

import (
	"crypto/rand"
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// failoverUnits are more than the buyers of a failover take.
	failoverUnits = 100_000
	// failoverBuyers are few: most tests with failovers run at the same time, and a shop that gets a quarter of a core must keep the time limits of its calls.
	failoverBuyers = 16
	// failoverPause is a buyer's pause after each order.
	failoverPause = 100 * time.Millisecond
	// ordersBefore are paid before the trouble begins.
	ordersBefore = 100
	// resumeLimit bounds the time from the Sentinels' decision to the first order that is paid, which takes up to 4 s unless the machine has much other work.
	resumeLimit = startTimeout
	// oldPrimaryAway is for how long the old primary is frozen or cut off.
	oldPrimaryAway = 30 * time.Second
)

// failover is buyers at a shop with Sentinels.
type failover struct {
	*fight
	redis      *realparts.SentinelRedis
	durability string
}

// shopArgs are the flags of every process of a shop with Sentinels; they share the provider's file.
func shopArgs(t *testing.T, redis *realparts.SentinelRedis, durability string) []string {
	return []string{
		"--redis", redis.URL(), "--redis-namespace", "e2e-" + rand.Text(), "--durability", durability, "--customer-orders", "0",
		"--lost-after", "1s", "--repair-after", "5s", "--simulate-provider-file", filepath.Join(t.TempDir(), "provider"),
	}
}

func newFailover(redis *realparts.SentinelRedis, durability string, doors ...*shop) *failover {
	f := newFight(doors[0])
	f.sku, f.units, f.tries, f.pause, f.doors, f.buyers = f.product(failoverUnits), failoverUnits, 1<<30, failoverPause, doors, failoverBuyers
	f.forgets = durability == "journal"
	return &failover{fight: f, redis: redis, durability: durability}
}

// onSentinels is a failover with one process.
func onSentinels(t *testing.T, durability string) *failover {
	redis := realparts.StartSentinel(t)
	dsn := database(t)
	s := newShop(t, dsn, append([]string{"--data-dir", t.TempDir(), "--mysql", dsn}, shopArgs(t, redis, durability)...))
	return newFailover(redis, durability, s)
}

// during runs the trouble while buyers buy.
func (f *failover) during(trouble func(old *realparts.Proc)) {
	f.t.Helper()
	f.run(func() {
		f.whenPaid(ordersBefore)
		trouble(f.redis.Node(f.redis.Primary()))
		f.mu.Lock()
		n := len(f.paid)
		f.mu.Unlock()
		f.whenPaid(n + ordersBefore)
		f.stop()
	})
}

// resumes awaits the Sentinels' decision against the old primary, and then checks how long the shop takes to take orders again.
func (f *failover) resumes(old *realparts.Proc) {
	f.t.Helper()
	f.redis.AwaitFailover(old.Addr())
	began := time.Now()
	token := f.guest()
	f.eventually(resumeLimit, "an order to be paid after the failover", func() bool {
		r, paid := f.pays(f.sku, token, "after-the-failover")
		if paid {
			f.answered(r, false)
		}
		return paid
	})
	f.t.Logf("the first order was paid %s after the Sentinels had decided", time.Since(began).Round(10*time.Millisecond))
	f.drains(began)
}

// drains awaits that SQL has what was acknowledged by now, and logs how long that took. With durability journal some may be lost.
func (f *failover) drains(began time.Time) {
	f.t.Helper()
	if f.forgets {
		return
	}
	f.mu.Lock()
	acknowledged := slices.Collect(maps.Keys(f.paid))
	f.mu.Unlock()
	ids := make([]order.ID, len(acknowledged))
	for i, id := range acknowledged {
		ids[i] = order.ID(id)
	}
	f.awaitSettled("what was acknowledged to be in SQL", ids)
	f.t.Logf("drained %s after the Sentinels had decided", time.Since(began).Round(10*time.Millisecond))
}

// unused waits until the shop has no connection to the Redis: one that was frozen closes what its clients have closed.
func (f *failover) unused(old *realparts.Proc) {
	f.t.Helper()
	f.eventually(startTimeout, "the old primary to be without connections", func() bool {
		for line := range strings.Lines(f.redis.Command(old.Addr(), "CLIENT", "LIST", "TYPE", "normal")) {
			if !strings.Contains(line, "name=sentinel-") && !strings.Contains(line, "cmd=client") {
				return false
			}
		}
		return true
	})
}

// verify checks, once all is drained, that nothing was sold or charged twice, and that what was acknowledged is there, or with durability
// journal is refunded.
func (f *failover) verify() {
	f.t.Helper()
	f.quiet()
	f.totalsAddUp()
	if f.durability != "journal" {
		f.nothingLost()
	}
	f.lostAreRefunded()
	f.t.Logf("paid %d, pending %d; rows %v", len(f.paid), len(f.pending), f.rows())
}

// lostAreRefunded checks that each order that was acknowledged as paid and that SQL does not have as such has a refunded charge.
func (f *failover) lostAreRefunded() {
	f.t.Helper()
	db, err := sql.Open("mysql", f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	orders, lost := store.NewOrders(f.db()), 0
	for id := range f.paid {
		if o, err := orders.Get(f.t.Context(), order.ID(id)); err == nil && o.State != order.Cancelled {
			continue
		}
		lost++
		var state order.ChargeState
		if err := db.QueryRow("SELECT state FROM charges WHERE order_id = ?", id).Scan(&state); err != nil || state != order.ChargeRefunded {
			f.t.Errorf("order %s is lost, and its charge is in state %v (%v)", id, state, err)
		}
	}
	f.t.Logf("%d acknowledged orders were lost and refunded", lost)
}

// TestSentinel_PrimaryIsKilled: and comes back later, with the data that it had.
func TestSentinel_PrimaryIsKilled(t *testing.T) {
	t.Parallel() // It waits most of the time.
	for _, durability := range []string{"journal", "replica", "sql"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			f := onSentinels(t, durability)
			f.during(func(old *realparts.Proc) {
				old.Kill9()
				f.resumes(old)
				old.Restart()
				f.redis.AwaitReplica(old.Addr())
				f.unused(old)
			})
			f.verify()
		})
	}
}

// TestSentinel_PrimaryIsFrozen: for long enough that a replica is promoted. When it goes on it still takes itself for the primary.
func TestSentinel_PrimaryIsFrozen(t *testing.T) {
	t.Parallel()
	f := onSentinels(t, "journal")
	f.during(func(old *realparts.Proc) {
		old.Pause()
		t.Cleanup(old.Resume) // A frozen process cannot be ended gracefully.
		frozen := time.Now()
		f.resumes(old)
		<-time.After(time.Until(frozen.Add(oldPrimaryAway)))
		old.Resume()
		f.unused(old)
		f.redis.AwaitReplica(old.Addr())
	})
	f.verify()
}
