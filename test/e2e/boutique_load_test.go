package e2e

import "testing"

// TestBoutique_Load sends the visits of Online Boutique's load generator for some seconds: none fails, and the books close.
func TestBoutique_Load(t *testing.T) {
	onEachStorage(t, func(t *testing.T, b *boutique) {
		got, status, stderr := b.load(append([]string{
			"--scenario", "online-boutique", "--boutique-url", "http://" + b.addr, "--rate", "20", "--duration", "5s", "--max-in-flight", "200", "--seed", "7",
		}, patient...)...)
		if status != 0 {
			t.Fatalf("exit status %d; %+v\n%s", status, got, stderr)
		}
		for _, outcome := range []string{"failed", "unavailable", "declined", "sold_out", "pending"} {
			if n := got.Outcomes[outcome].Count; n > 0 {
				t.Errorf("%d visits ended as %s: %+v\n%s", n, outcome, got, stderr)
			}
		}
		if got.Outcomes["accepted"].Count == 0 || got.Outcomes["browsed"].Count == 0 || got.Record.Status != "ok" || got.Record.Replayed == 0 ||
			got.Audit.Status != "ok" {
			t.Errorf("the result is %+v\n%s", got, stderr)
		}
	})
}
