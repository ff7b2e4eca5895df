package payment

import (
	"net"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// testConfig is a policy for tests: four failures of eight calls open its breaker.
var testConfig = breaker.Config{Timeout: 30 * time.Millisecond, Failures: 4, Window: 8, Delay: time.Hour}

// waitTimeout bounds what tests wait for.
const waitTimeout = 30 * time.Second

// eventually waits until the condition holds, for at most waitTimeout.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(waitTimeout), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited %s for %s", waitTimeout, what)
		case <-tick.C:
		}
	}
}

// openBreaker reports failures until the policy's breaker is open.
func openBreaker(t *testing.T, p *breaker.Policy) {
	t.Helper()
	for p.Permit() == nil {
		p.Report(order.ErrUnavailable)
	}
}

// startFrozenServer starts a server that accepts connections and never responds.
func startFrozenServer(t *testing.T) (addr string) {
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
