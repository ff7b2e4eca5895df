//go:build partition

package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/test/realparts"
)

// chargedWithoutALine reports whether the violation is a charge that the ledger has no line of, for an order that was not acknowledged as paid: SQL
// was lost between the charge and its line, and Redis with the order. The provider alone knows it then, and the audit lists it.
func (f *failover) chargedWithoutALine(v auditFinding) bool {
	return v.Rule == "provider_matches_ledger" && strings.Contains(v.Detail, "no line") && !f.paid[v.OrderID]
}

// TestSentinel_Partition: the old primary is cut off from replicas and Sentinels, together with one of two processes and its buyers. With SQL
// within its reach that process learns of the next epoch there; without, it must stop by itself.
func TestSentinel_Partition(t *testing.T) {
	for name, c := range map[string]struct {
		durability string
		reachesSQL bool
	}{
		"journal": {"journal", true}, "replica": {"replica", true}, "journal, without SQL": {"journal", false},
	} {
		t.Run(name, func(t *testing.T) {
			redis, ns := realparts.StartPartition(t)
			dsn := database(t)
			cfg, err := mysql.ParseDSN(dsn)
			if err != nil {
				t.Fatal(err)
			}
			args := shopArgs(t, redis, c.durability)
			majority := newShop(t, dsn, append([]string{"--data-dir", t.TempDir(), "--mysql", dsn}, args...))
			forwarder := ns.Forward(cfg.Addr)
			cfg.Addr = forwarder.Addr()
			inside := net.JoinHostPort(ns.StableInside, realparts.FreePort(t))
			minority := newShopAt(t, inside, ns.Command(), dsn, append([]string{"--data-dir", t.TempDir(), "--mysql", cfg.FormatDSN()}, args...))
			f := newFailover(redis, c.durability, majority, minority)
			if !c.reachesSQL {
				f.listed = f.chargedWithoutALine
			}
			f.during(func(old *realparts.Proc) {
				cut := time.Now()
				ns.Cut()
				if !c.reachesSQL {
					forwarder.Cut()
				}
				f.resumes(old)
				token := majority.guest()
				minority.eventually(resumeLimit, "the cut-off process to refuse orders", func() bool {
					r, err := minority.call("CheckoutService/PlaceOrder", token, orderBody(f.sku, 1, goodCard), "Idempotency-Key", fmt.Sprint("cut-", time.Now().UnixNano()))
					return err == nil && r.Code == "unavailable"
				})
				t.Logf("the cut-off process refused orders %s after the cut", time.Since(cut).Round(10*time.Millisecond))
				<-time.After(time.Until(cut.Add(oldPrimaryAway)))
				ns.Heal()
				forwarder.Heal()
				f.redis.AwaitReplica(old.Addr())
				f.unused(old)
			})
			f.verify()
		})
	}
}
