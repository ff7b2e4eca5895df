package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment/simulated"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// restoreUnits are for sale. Two thirds of them are not sold before the disaster.
	restoreUnits = 300
	// beforeBackup and afterBackup are the numbers of orders that are in SQL before the backup is taken, and paid after it.
	beforeBackup, afterBackup = 40, 40
	// restoreBuyers order at the same time; more than they would have charges wait for each other. restorePause is a buyer's pause after each order, so that
	// not all is sold before the backup is taken.
	restoreBuyers = 8
	restorePause  = 100 * time.Millisecond
)

// restored is a shop whose database and Redis are lost, and that comes back from a backup.
type restored struct {
	*fight
	t      *testing.T
	backup backup
	// provider is the file of the simulated provider.
	provider string
	// lost are the orders that the provider was paid for, each acknowledged one among them, and that are not in the backup.
	lost []string
}

// TestRestore_OldBackupWithEmptyRedis: MySQL is lost with Redis, and comes back as it was some time ago. The shop comes up by itself, sells no unit twice,
// and the audit names each order that was acknowledged and is gone. When those charges are given back, the books close.
func TestRestore_OldBackupWithEmptyRedis(t *testing.T) {
	t.Parallel()
	provider := filepath.Join(t.TempDir(), "provider.db")
	r := &restored{
		t: t, provider: provider,
		fight: newFight(onRealParts(t, realparts.StartRedis(t).Addr(), slices.Concat(restoreFlags, []string{"--simulate-provider-file", provider})...)),
	}
	r.sellAndLose(restoreUnits)
	r.setFlag("--redis", realparts.StartRedis(t).Addr())
	r.start()
	r.auditNamesTheLost()
	r.sellOut()
	r.giveBack()
	if a := r.audit("--drained", "--wait", auditWait); a.status != 0 {
		t.Errorf("after the charges were given back: %+v", a)
	}
}

var restoreFlags = []string{"--durability", "journal", "--customer-orders", "0", "--lost-after", "2s", "--repair-after", "5s", "--reconcile-after", "5s"}

// sellAndLose takes a backup while orders are placed, lets more of them be placed, and loses all but the payment provider.
func (r *restored) sellAndLose(units int) {
	r.t.Helper()
	r.sku, r.units, r.tries, r.buyers, r.pause = r.product(units), units, 1<<30, restoreBuyers, restorePause
	r.run(func() {
		r.eventually(startTimeout, "orders in SQL", func() bool { return r.taken() >= beforeBackup })
		r.backup = dump(r.t, r.dsn)
		r.whenPaid(min(len(r.paidNow())+afterBackup, units))
		r.stop()
	})
	r.kill()
	lose(r.t, r.dsn)
	r.backup.restore(r.t, r.dsn)
	r.findLost()
	if len(r.lost) < afterBackup/2 || len(r.lost) > len(r.paid)-beforeBackup/2 {
		r.t.Fatalf("%d of %d orders are not in the backup", len(r.lost), len(r.paid))
	}
	r.t.Logf("%d orders were paid; %d are not in the backup", len(r.paid), len(r.lost))
}

// findLost reads which orders are gone. The provider has them all, also one that was charged while its buyer gave up or got no outcome.
func (r *restored) findLost() {
	r.t.Helper()
	provider := openWitness(r.t, r.provider)
	charged := texts(r.t, provider, "SELECT order_id FROM outcomes WHERE succeeded = 1 AND refunded = 0")
	orders := store.NewOrders(r.db())
	for _, id := range charged {
		switch _, err := orders.Get(r.t.Context(), order.ID(id)); {
		case errors.Is(err, order.ErrNotFound):
			r.lost = append(r.lost, id)
		case err != nil:
			r.t.Fatal(err)
		}
	}
	slices.Sort(r.lost)
	for id := range r.paid {
		if !slices.Contains(charged, id) {
			r.t.Errorf("order %s was answered as paid, and the provider has no charge of it", id)
		}
	}
}

func (f *fight) paidNow() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]string, 0, len(f.paid))
	for id := range f.paid {
		out = append(out, id)
	}
	return out
}

// setFlag gives the next start another value of a flag.
func (s *shop) setFlag(name, value string) {
	s.t.Helper()
	i := slices.Index(s.args, name)
	if i < 0 {
		s.t.Fatalf("the shop has no %s", name)
	}
	s.args = slices.Clone(s.args)
	s.args[i+1] = value
}

// auditNamesTheLost checks that each order that is gone is accounted for, and nothing else is wrong: the ledger of the backup has its charge, which the
// shop gives back by itself, or the audit lists what the provider took. It leaves those in lost.
func (r *restored) auditNamesTheLost() {
	r.t.Helper()
	ledger := store.NewCharges(r.db())
	defer ledger.Close()
	var listed, returned []string
	r.eventually(drainTime, "the lost orders to be listed or given back", func() bool {
		listed, returned = nil, nil
		a := r.audit("--drained")
		for _, f := range a.Findings {
			if f.Rule != "provider_matches_ledger" || !strings.Contains(f.Detail, "the ledger has no line for it") {
				return false
			}
			listed = append(listed, f.OrderID)
		}
		for _, id := range r.lost {
			if ch, err := ledger.Get(r.t.Context(), order.ID(id)); err == nil && ch.State == order.ChargeRefunded {
				returned = append(returned, id)
			}
		}
		all := slices.Concat(listed, returned)
		slices.Sort(all)
		return a.status == 3 && slices.Equal(all, r.lost)
	})
	r.t.Logf("%d are listed, and the charges of %d were given back", len(listed), len(returned))
	r.lost = listed
}

// sellOut buys everything that is left. What SQL has of before and what is sold now are all units, and no more.
func (r *restored) sellOut() {
	r.t.Helper()
	known := r.taken()
	r.over, r.attempts, r.paid, r.pending, r.soldOut = false, 0, map[string]bool{}, map[string]bool{}, 0
	r.tries = r.units + 50 // Some are refused at the end.
	r.pause = 0
	r.run(func() {})
	held, cancelled := r.settled()
	left := r.units - known - held
	if left < 0 || left > cancelled || r.soldOut == 0 {
		r.t.Errorf("%d units were sold before, and %d after; there were %d (%d refusals, %d orders without a payment)", known, held, r.units, r.soldOut, cancelled)
	}
	r.eventually(drainTime, "SQL to have every order", func() bool { return r.taken() == known+held && int(r.stockInSQL()) == left })
}

// settled waits until each order that was answered as paid is in SQL, and the payment of each pending one has an outcome, and counts those that have units
// and those that have none: on a busy machine a charge may take longer than its time, and its order is cancelled.
func (r *restored) settled() (held, cancelled int) {
	r.t.Helper()
	r.nothingLost()
	r.awaitSettled("the payments of pending orders to have an outcome", ids(r.pending))
	held = r.held()
	return held, len(r.paid) + len(r.pending) - held
}

// giveBack refunds the charges of the lost orders at the provider, as an operator does.
func (r *restored) giveBack() {
	r.t.Helper()
	provider, err := simulated.Open(r.provider)
	if err != nil {
		r.t.Fatal(err)
	}
	defer provider.Close() //nolint:errcheck // The audit reads what was written.
	for _, id := range r.lost {
		o, found, err := provider.Find(r.t.Context(), order.ID(id))
		if err != nil || !found {
			r.t.Fatal(id, found, err)
		}
		if err := provider.Refund(r.t.Context(), order.ID(id), "restore-"+id, o.Amount); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestRestore_QueueSurvives: RocketMQ still has the orders of after the backup, which no worker has taken yet. Their units are not deducted in the
// restored SQL, so that writing them would sell the units twice.
func TestRestore_QueueSurvives(t *testing.T) {
	t.Parallel()
	const topic = "restore-orders"
	mq := realparts.StartRocketMQ(t, []string{topic}, []string{"orders", "shipping", "mail"})
	provider := filepath.Join(t.TempDir(), "provider.db")
	flags := slices.Concat(restoreFlags, []string{"--simulate-provider-file", provider, "--rocketmq", mq.Addr(), "--topic", topic})
	all := onRealParts(t, realparts.StartRedis(t).Addr(), flags...)
	r := &restored{t: t, provider: provider, fight: newFight(all)}
	r.sku, r.units, r.tries, r.buyers, r.pause = r.product(restoreUnits), restoreUnits, beforeBackup, restoreBuyers, 0
	r.run(func() {})
	first, _ := r.settled()
	r.backup = dump(t, r.dsn)
	if err := all.stop(); err != nil {
		t.Fatal(err)
	}

	// The workers that take messages are gone, and the others go on.
	i := slices.Index(all.args, "--redis")
	p := &processes{t: t, dsn: r.dsn, all: map[string]*shop{}, common: append([]string{"--mysql", r.dsn}, all.args[i:i+4]...)}
	work := p.add("work", "work", "--workers", "stock-flusher,order-relay", "--rocketmq", mq.Addr(), "--topic", topic)
	serve := p.add(
		"serve",
		"serve",
		slices.Concat(unlimited, []string{"--customer-orders", "0", "--durability", "journal", "--simulate-provider-file", provider})...)
	r.shop, r.doors, r.attempts, r.tries, r.paid = serve, []*shop{serve}, 0, afterBackup, map[string]bool{}
	r.pending = map[string]bool{}
	r.run(func() {})
	r.eventually(drainTime, "SQL to have the stock of all orders", func() bool { return int(r.stockInSQL()) == restoreUnits-first-afterBackup })
	relayed := regexp.MustCompile(`(?m)^app_forwarder_lag_ms(\{.*\})? 0$`)
	r.eventually(drainTime, "RocketMQ to have all orders", func() bool { return relayed.MatchString(scrape(t, work.admin+"/metrics")) })
	serve.kill()
	work.kill()
	lose(t, r.dsn)
	r.backup.restore(t, r.dsn)
	r.findLost()

	if _, err := openMySQL(t, r.dsn).ExecContext(t.Context(), "DELETE FROM settings WHERE name = 'shop_id'"); err != nil {
		t.Fatal(err)
	}

	r.shop, r.doors = all, []*shop{all}
	r.setFlag("--redis", realparts.StartRedis(t).Addr())
	r.start()
	r.eventually(drainTime, "the messages of the lost shop to be dropped", func() bool {
		text, err := os.ReadFile(r.log.Name())
		return err == nil && strings.Contains(string(text), "acknowledged messages of another shop")
	})
	r.auditNamesTheLost()
	r.sellOut()
	r.giveBack()
	if a := r.audit("--drained", "--wait", auditWait); a.status != 0 {
		t.Errorf("after the charges were given back: %+v", a)
	}
}
