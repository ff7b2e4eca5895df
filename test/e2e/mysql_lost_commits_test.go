package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/store"
)

const (
	// lostCommits is how much of what was committed is lost in a failover.
	lostCommits = time.Second
	// mostLost is less than the 10 s that the journal keeps: what is lost beyond them closes the epoch, and copyTries bounds the copies that are made until
	// one is young enough, which a busy machine may take long to flush more after.
	mostLost  = 8 * time.Second
	copyTries = 10
	// failoverTime is how long nothing takes over: longer than the journal keeps what was sent while SQL is there.
	failoverTime = 12 * time.Second
)

// TestMySQLOutage_FailoverLosesCommits: a replica that was a second behind takes over. Redis and the payment provider have what it lost: orders,
// deductions and charges come back.
func TestMySQLOutage_FailoverLosesCommits(t *testing.T) {
	t.Parallel()
	o := newMySQLOutage(t, "journal", "sql")
	for _, s := range o.shops {
		s.listed = isLostRefund
	}
	o.run(func() {
		o.suffer(fault{"failed over", o.loseCommits, o.server.Restart, failoverTime, false})
	})
	for _, s := range o.shops {
		s.verify()
		s.wantLogged("SQL lost commits; flushing and relaying again")
	}
}

// loseCommits kills MySQL and puts a copy in the place of its data that lacks the last second, in which each shop has committed something.
func (o *mysqlOutage) loseCommits() {
	o.t.Helper()
	for try := 0; ; try++ {
		o.server.Copy()
		copied := time.Now()
		for _, s := range o.shops {
			s.flushesMore()
		}
		<-time.After(lostCommits)
		if time.Since(copied) < mostLost {
			break
		}
		if try == copyTries {
			o.t.Fatalf("after each of %d copies, the shops took %s to commit more", copyTries, time.Since(copied))
		}
	}
	o.server.KillForCopy()
}

// isLostRefund reports whether the audit lists a refund that the provider has executed, of a cancellation that SQL lost, as docs/operations.md describes it.
func isLostRefund(v auditFinding) bool {
	return v.Rule == "provider_matches_ledger" && strings.Contains(v.Detail, "booked refunds of 0, the provider refunded")
}

// flushesMore returns once SQL has applied more of the journal than at the call.
func (s *shop) flushesMore() {
	s.t.Helper()
	offset := func() string {
		e, err := store.NewStock(s.db()).OpenEpoch(s.t.Context(), 0)
		if err != nil {
			return ""
		}
		return e.LastID
	}
	before := offset()
	s.eventually(startTimeout, "more of the journal to be flushed", func() bool { now := offset(); return now != "" && now != before })
}

// wantLogged checks that the shop's log has a line.
func (s *shop) wantLogged(line string) {
	s.t.Helper()
	if !s.logged(line) {
		s.t.Errorf("the shop's log has no line %q", line)
	}
}

// logged reports whether the shop's log has the text.
func (s *shop) logged(text string) bool {
	s.t.Helper()
	all, err := os.ReadFile(s.log.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(string(all), text)
}
