package e2e

import (
	"database/sql"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// audited is what `spillway audit --output json` printed, and its exit status.
type audited struct {
	OK       bool
	Drained  bool
	Rules    []struct{ Rule string }
	Findings []struct{ Rule, SKU, OrderID, Detail string }

	status int
}

func runAudit(t *testing.T, dir string, args ...string) audited {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"audit", "--data-dir", dir, "--output", "json"}, args...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	a := audited{status: cmd.ProcessState.ExitCode()}
	if err := json.Unmarshal(out, &a); err != nil && a.status < 2 {
		t.Fatalf("audit printed %s: %v", out, err)
	}
	return a
}

// TestTheBooksOfAStoppedShopClose takes orders of each outcome, audits while it runs and after it stopped, and then breaks it.
func TestTheBooksOfAStoppedShopClose(t *testing.T) {
	s := embedded(t)
	dir := filepath.Dir(strings.TrimPrefix(s.dsn, "sqlite:"))
	token := s.guest()
	paid := s.must("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 2, goodCard), "Idempotency-Key", "paid").Order.ID
	for key, card := range map[string]string{
		"declined": "4000000000000002", "pending": "4000000000000259", "answer lost": "4000000000000341", "provider down": "4000000000000036",
	} {
		if _, err := s.call("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, card), "Idempotency-Key", key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if a := runAudit(t, dir); a.status != 0 || !a.OK || a.Drained || len(a.Rules) == 0 {
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
	if a := runAudit(t, dir, "--drained"); a.status != 0 || !a.OK || !a.Drained || len(a.Findings) > 0 {
		t.Errorf("stopped: %+v", a)
	}

	db, err := sql.Open("sqlite", filepath.Join(dir, "spillway.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("DELETE FROM orders WHERE id = ?", paid); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	a := runAudit(t, dir, "--drained", "--wait", "1ms")
	found := map[string][]string{}
	for _, f := range a.Findings {
		found[f.Rule] = append(found[f.Rule], f.SKU+f.OrderID)
	}
	if a.status != 1 || a.OK || !slices.Contains(found["stock_adds_up"], hotSKU) || !slices.Contains(found["charge_has_order"], paid) {
		t.Errorf("after order %s was deleted: %+v", paid, a)
	}
}

// TestAnAuditThatCannotBeDone must not look like books that close, nor like some that do not.
func TestAnAuditThatCannotBeDone(t *testing.T) {
	for name, args := range map[string][]string{
		"no database": {"--data-dir", t.TempDir()}, "no server": {"--mysql", "root:secret@tcp(127.0.0.1:1)/x"},
		"wait alone": {"--wait", "1s"}, "bad flag": {"--nonsense"}, "bad output": {"--output", "xml"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(binary, append([]string{"audit"}, args...)...)
			cmd.Env = append(cmd.Environ(), "SPILLWAY_DATA_DIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if status := cmd.ProcessState.ExitCode(); status != 2 || strings.Contains(string(out), "secret") {
				t.Errorf("status %d (%v); want 2, and no password\n%s", status, err, out)
			}
		})
	}
}
