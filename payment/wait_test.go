package payment

import (
	"net"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// quick is a policy for tests: four failures of eight calls open it.
var quick = breaker.Config{Timeout: 30 * time.Millisecond, Failures: 4, Window: 8, Delay: time.Hour}

// patience bounds what tests wait for.
const patience = 30 * time.Second

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited %s for %s", patience, what)
		case <-tick.C:
		}
	}
}

// tripped opens the policy's breaker.
func tripped(t *testing.T, p *breaker.Policy) {
	t.Helper()
	for p.Permit() == nil {
		p.Report(order.ErrUnavailable)
	}
}

// frozen is a server that accepts connections and never answers.
func frozen(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
		}
		for _, c := range open {
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}
