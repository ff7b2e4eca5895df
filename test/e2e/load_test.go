package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loaded is the part of the output of `spillway load --output json` that this test reads.
type loaded struct {
	Arrived  int `json:"arrived"`
	Sent     int `json:"sent"`
	Outcomes map[string]struct {
		Count   int `json:"count"`
		Latency struct {
			P99 float64 `json:"p99"`
		} `json:"latency_ms"`
	} `json:"outcomes"`
	TimeToShipped struct {
		Arrived int `json:"arrived"`
	} `json:"time_to_shipped"`
	Record struct {
		Status   string         `json:"status"`
		States   map[string]int `json:"states"`
		Replayed int            `json:"replayed"`
	} `json:"record"`
	Audit struct {
		Status string `json:"status"`
		Note   string `json:"note"`
	} `json:"audit"`
}

// patient are the flags of a load on a machine with other work: an order that the shop refuses for now is sent again until it is taken, and shipped later.
var patient = []string{"--retries", "20", "--settle-wait", "2m"}

// load runs the command against the shop and returns its exit status.
func (s *shop) load(args ...string) (out loaded, status int, stderr string) {
	s.t.Helper()
	var stdout, diagnostics bytes.Buffer
	cmd := command(s.t, binary, append([]string{"load", "--url", s.url, "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "SPILLWAY_AUTH_KEY="+authKey)
	cmd.Stdout, cmd.Stderr = &stdout, &diagnostics
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
			s.t.Fatalf("%v:\n%s", err, stdout.String())
		}
	}
	return out, cmd.ProcessState.ExitCode(), diagnostics.String()
}

// TestLoad_FlashSale: 50 units, 300 arrivals in 6 s, and nothing is sold twice.
func TestLoad_FlashSale(t *testing.T) {
	s := embedded(t)
	report := filepath.Join(t.TempDir(), "report.html")
	got, status, stderr := s.load(append([]string{
		"--scenario", "flash-sale", "--stock", "50", "--rate", "50", "--duration", "6s", "--arrivals", "constant", "--report", report,
	}, patient...)...)
	if status != 0 {
		t.Fatalf("exit status %d; %+v\n%s", status, got, stderr)
	}
	// On a busy machine a charge may have no outcome at first. Its order is paid later, or not at all.
	accepted, pending, shipped := got.Outcomes["accepted"].Count, got.Outcomes["pending"].Count, got.Record.States["SHIPPED"]
	if got.Arrived != 300 || got.Sent != 300 || accepted == 0 || accepted+pending != 50 || got.Outcomes["sold_out"].Count != 250 {
		t.Errorf("of %d arrivals, %d sent: %+v", got.Arrived, got.Sent, got.Outcomes)
	}
	if got.Outcomes["accepted"].Latency.P99 <= 0 || got.Record.Status != "ok" || shipped < accepted || shipped > 50 || got.Record.Replayed < accepted ||
		got.TimeToShipped.Arrived < accepted || got.TimeToShipped.Arrived > 50 {
		t.Errorf("the result is %+v", got)
	}
	if got.Audit.Status != "ok" {
		t.Errorf("the audit is %+v", got.Audit)
	}
	if !strings.Contains(stderr, "in flight") {
		t.Errorf("no progress was told:\n%s", stderr)
	}
	if html, err := os.ReadFile(report); err != nil || !bytes.Contains(html, []byte("<svg")) {
		t.Errorf("the report: %v, %d bytes", err, len(html))
	}
}

// TestLoad_MixedVisits buys through carts.
func TestLoad_MixedVisits(t *testing.T) {
	got, status, stderr := embedded(t).load(append([]string{
		"--scenario", "mixed", "--rate", "20", "--duration", "4s", "--max-in-flight", "80", "--seed", "3",
	}, patient...)...)
	sum := got.Outcomes["accepted"].Count + got.Outcomes["pending"].Count + got.Outcomes["browsed"].Count
	if status != 0 || got.Outcomes["accepted"].Count == 0 || sum != got.Arrived {
		t.Errorf("exit status %d, %+v\n%s", status, got, stderr)
	}
}

// TestLoad_CannotRun ends with 2, which is not the status of a verdict.
func TestLoad_CannotRun(t *testing.T) {
	s := embedded(t)
	for name, c := range map[string]struct {
		args   []string
		status int
		want   []string
	}{
		"mistakes, all at once": {[]string{"--rate=-1", "--scenario", "flash-sale", "--retries=-1"}, 2, []string{"--rate", "--sku", "--retries"}},
		"no such flag":          {[]string{"--speed", "9"}, 2, []string{"--speed"}},
		"no such SKU":           {[]string{"--scenario", "flash-sale", "--sku", "NOTHING"}, 1, []string{"NOTHING"}},
		"no shop":               {[]string{"--url", "http://127.0.0.1:1"}, 1, []string{"refused"}},
	} {
		if _, status, stderr := s.load(c.args...); status != c.status {
			t.Errorf("%s: exit status %d: %s", name, status, stderr)
		} else {
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%s: %q is not said: %s", name, want, stderr)
				}
			}
		}
	}
}
