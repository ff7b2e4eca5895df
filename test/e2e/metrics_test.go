package e2e

import (
	"database/sql"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/fakeotlp"
)

// measuredWithin bounds an audit of a small shop and its export, on a busy machine.
const measuredWithin = startTimeout

// TestMetrics_ViolationIsScraped: a shop that audits itself exports violations to Prometheus and logs them.
func TestMetrics_ViolationIsScraped(t *testing.T) {
	s := embedded(t, "--audit-interval", "200ms")
	id := s.buy("k")
	says := func(rule, value string) func() bool {
		line := regexp.MustCompile(`(?m)^spillway_audit_violations\{.*rule="` + rule + `".*\} ` + value + `$`)
		return func() bool { return line.MatchString(scrape(t, s.admin+"/metrics")) }
	}
	s.eventually(measuredWithin, "no violation to be measured", says("charge_is_total", "0"))
	s.becomes(measuredWithin, id, order.Shipped)
	s.breaks("UPDATE charges SET amount = amount + 1 WHERE order_id = ?", id)
	s.eventually(measuredWithin, "the charge to be measured as wrong", says("charge_is_total", "1"))
	s.eventually(measuredWithin, "the log to name the order", func() bool {
		log, err := os.ReadFile(s.log.Name())
		return err == nil && strings.Contains(string(log), "rule=charge_is_total") && strings.Contains(string(log), "order_id="+string(id))
	})
	// An audit from outside does not need the port.
	if a := s.audit(); a.status != 3 {
		t.Errorf("beside the running shop: %+v", a)
	}
	s.breaks("UPDATE charges SET amount = amount - 1 WHERE order_id = ?", id)
	s.eventually(measuredWithin, "no violation to be measured again", says("charge_is_total", "0"))
}

// TestMetrics_AuditCommandPushes: the command hands what it measured to a collector before it ends, and does not depend on one.
func TestMetrics_AuditCommandPushes(t *testing.T) {
	s := embedded(t)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	collector := fakeotlp.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	if a := s.audit("--drained"); a.status != 0 {
		t.Errorf("with a collector: %+v", a)
	}
	for _, want := range []string{"spillway.audit.violations", "stock_adds_up", "service.name", "spillway"} {
		if got := collector.Received(); !strings.Contains(got, want) {
			t.Errorf("the collector got no %q: %q", want, got)
		}
	}
	collector.Stop()
	if a := s.audit("--drained"); a.status != 0 {
		t.Errorf("without its collector: %+v", a)
	}
	t.Setenv("OTEL_METRICS_EXPORTER", "carrier-pigeon")
	if a := s.audit("--drained"); a.status != 2 {
		t.Errorf("with an exporter that does not exist: %+v", a)
	}
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// breaks changes the rows of the embedded shop behind its back.
func (s *shop) breaks(statement string, args ...any) {
	s.t.Helper()
	driver, dsn := "mysql", s.dsn
	if path, ok := strings.CutPrefix(s.dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", path+"?_pragma=busy_timeout(30000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		s.t.Fatal(err)
	}
}
