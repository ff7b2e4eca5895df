package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/spillway/spillway/test/realparts"
)

// audited is what `spillway audit --output json` printed, and its exit status.
type audited struct {
	OK       bool
	Drained  bool
	Rules    []struct{ Rule string }
	Findings []auditFinding

	OrdersInFlight json.Number `json:"orders_in_flight"`

	status int
}

// auditFinding is one violation.
type auditFinding struct {
	Rule, SKU, Detail string
	OrderID           string `json:"order_id"`
}

// audit looks at the shop's SQL from outside; once drained also at its Redis and at its provider, if it has such outside of the process.
func (s *shop) audit(args ...string) audited {
	s.t.Helper()
	t, where := s.t, []string{"--mysql", s.dsn}
	if path, ok := strings.CutPrefix(s.dsn, "sqlite:"); ok {
		where = []string{"--data-dir", filepath.Dir(path)}
	}
	if slices.Contains(args, "--drained") {
		for _, flag := range []string{"--redis", "--redis-namespace", "--simulate-provider-file"} {
			if i := slices.Index(s.args, flag); i >= 0 {
				where = append(where, s.args[i:i+2]...)
			}
		}
	}
	cmd := command(t, binary, slices.Concat([]string{"audit", "--output", "json"}, where, args)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	a := audited{status: cmd.ProcessState.ExitCode()}
	if err := json.Unmarshal(out, &a); err != nil && (a.status == 0 || a.status == 3) {
		t.Fatalf("audit printed %s: %v", out, err)
	}
	return a
}

// TestAudit_StoppedShopHasNoViolation takes orders of each outcome, audits while it runs and after it stopped, and then breaks it.
func TestAudit_StoppedShopHasNoViolation(t *testing.T) {
	s := embedded(t)
	token := s.guest()
	paid := s.must("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 2, goodCard), "Idempotency-Key", "paid").Order.ID
	for key, card := range map[string]string{
		"declined": "4000000000000002", "pending": "4000000000000259", "answer lost": "4000000000000341", "provider down": "4000000000000036",
	} {
		if _, err := s.call("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, card), "Idempotency-Key", key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if a := s.audit(); a.status != 0 || !a.OK || a.Drained || len(a.Rules) == 0 {
		t.Errorf("beside the running shop: %+v", a)
	}
	for _, body := range []string{"{}", `{"drained":false}`} {
		if r := s.must("AuditService/RunAudit", s.operator(), body); !strings.Contains(strings.ReplaceAll(r.Raw, " ", ""), `"ok":true`) {
			t.Errorf("by RPC: %s", r.Raw)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if a := s.audit("--drained"); a.status != 0 || !a.OK || !a.Drained || len(a.Findings) > 0 {
		t.Errorf("stopped: %+v", a)
	}

	s.breaks("DELETE FROM orders WHERE id = ?", paid)
	a := s.audit("--drained", "--wait", "1ms")
	found := map[string][]string{}
	for _, f := range a.Findings {
		found[f.Rule] = append(found[f.Rule], f.SKU+f.OrderID)
	}
	if a.status != 3 || a.OK || !slices.Contains(found["stock_adds_up"], hotSKU) || !slices.Contains(found["charge_has_order"], paid) {
		t.Errorf("after order %s was deleted: %+v", paid, a)
	}
}

// TestAudit_RunningShopHasNoViolation audits again and again beside a shop that takes, declines and cancels orders on real parts,
// with durability journal: rows are behind the stock all the time.
func TestAudit_RunningShopHasNoViolation(t *testing.T) {
	s := onRealParts(t, realparts.StartRedis(t).Addr(), "--durability", "journal", "--customer-orders", "0",
		"--simulate-provider-file", filepath.Join(t.TempDir(), "provider.db"))
	sku, token := s.product(100_000), s.guest()
	var buyers sync.WaitGroup
	stop := make(chan struct{})
	for buyer := range 6 {
		buyers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				card := goodCard
				if i%5 == 4 {
					card = "4000000000000002"
				}
				key := fmt.Sprintf("%d-%d", buyer, i)
				r, err := s.call("CheckoutService/PlaceOrder", token, orderBody(sku, 1+i%3, card), "Idempotency-Key", key)
				if err == nil && i%3 == 0 && r.Order.ID != "" {
					_, _ = s.call("OrderService/CancelOrder", token, fmt.Sprintf(`{"orderId":%q}`, r.Order.ID)) // It may be shipped.
				}
			}
		})
	}
	inFlight, looks := 0, 0
	for began := time.Now(); time.Since(began) < 5*time.Second; looks++ {
		a := s.audit()
		if n, err := strconv.Atoi(a.OrdersInFlight.String()); err == nil && n > 0 {
			inFlight++
		}
		if a.status != 0 {
			t.Errorf("beside the running shop: %+v", a)
			break
		}
	}
	close(stop)
	buyers.Wait()
	t.Logf("of %d audits, %d saw orders in flight", looks, inFlight)
	a := s.audit("--drained", "--wait", auditWait)
	if a.status != 0 {
		t.Errorf("drained: %+v", a)
	}
	for _, want := range []string{"counters_match_sql", "provider_matches_ledger"} {
		if !slices.ContainsFunc(a.Rules, func(r struct{ Rule string }) bool { return r.Rule == want }) {
			t.Errorf("%s was not checked", want)
		}
	}
	s.breaks("UPDATE charges SET state = 3 WHERE state = 2 ORDER BY order_id LIMIT 1") // DECLINED
	if a := s.audit("--drained"); !slices.ContainsFunc(a.Findings, func(f auditFinding) bool { return f.Rule == "provider_matches_ledger" }) {
		t.Errorf("after the ledger forgot that it took money: %+v", a)
	}
}

// TestAudit_CannotRun must not look like a verdict.
func TestAudit_CannotRun(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		args   []string
	}{
		"no database": {1, []string{"--data-dir", t.TempDir()}}, "no server": {1, []string{"--mysql", "root:secret@tcp(127.0.0.1:1)/x"}},
		"wait alone": {2, []string{"--wait", "1s"}}, "no provider file": {2, []string{"--simulate-provider-file", "/nowhere/provider.db"}},
		"bad flag": {2, []string{"--nonsense"}}, "bad output": {2, []string{"--output", "xml"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, binary, append([]string{"audit"}, c.args...)...)
			cmd.Env = append(cmd.Environ(), "SPILLWAY_DATA_DIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if status := cmd.ProcessState.ExitCode(); status != c.status || strings.Contains(string(out), "secret") {
				t.Errorf("status %d (%v); want %d, and no password\n%s", status, err, c.status, out)
			}
		})
	}
}
