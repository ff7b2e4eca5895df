package app

import (
	"crypto/rand"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

// paced is a worker that lingers, or yields to requests.
type paced interface{ Pace() workers.Pace }

// mailing is a worker that yields to the order path.
type mailing interface{ Yield() workers.MailYield }

// wantPace is what a worker has by default.
type wantPace struct {
	// linger is how long it lets a batch grow; yields is set if it yields to requests, mail if it yields to the order path.
	linger       time.Duration
	yields, mail bool
}

// defaultPaces are those of the workers on an order's path, with durability journal in RoleAll. All of them share one Activity.
var defaultPaces = map[string]wantPace{
	workerFlusher: {linger: workers.DefaultFlushLinger}, workerRelay: {linger: workers.DefaultRelayLinger},
	workerWriter: {yields: true}, workerShipper: {yields: true}, workerMailer: {mail: true}, workerDispatcher: {mail: true},
}

// unpacedWorkers scan for what went wrong. They have intervals of their own, and neither linger nor yield.
var unpacedWorkers = []string{workerReconciler, workerCanceller, workerRefunds, workerLost, workerRepairer, workerRescuer, workerDrain}

// openForWorkers opens a process without running it.
func openForWorkers(t *testing.T, cfg Config) *App {
	t.Helper()
	cfg.HTTP.Listen, cfg.Admin.Listen, cfg.SQL.DataDir = "127.0.0.1:0", "", t.TempDir()
	a, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// checkPaces compares each worker of the process with what it must have.
func checkPaces(t *testing.T, a *App, wants map[string]wantPace) {
	t.Helper()
	seen := make(map[string]bool)
	for _, w := range a.workers {
		seen[w.name] = true
		want, onPath := wants[w.name]
		if !onPath && !slices.Contains(unpacedWorkers, w.name) {
			t.Errorf("%s is in neither list of this test: add what it must have", w.name)
		}
		p, isPaced := w.runner.(paced)
		m, isMailing := w.runner.(mailing)
		if isPaced != (onPath && !want.mail) || isMailing != want.mail {
			t.Errorf("%s: lingers or yields to requests: %v, yields to orders: %v; want %+v", w.name, isPaced, isMailing, want)
			continue
		}
		if isPaced {
			if got := p.Pace(); got.Linger != want.linger || (got.Yield != nil) != want.yields || got.Activity != a.deps.activity ||
				got.Yield != nil && got.Yield != a.deps.yield {
				t.Errorf("%s has the pace %+v; want %+v and the shared Activity", w.name, got, want)
			}
		}
		if isMailing {
			if got := m.Yield(); got.Activity != a.deps.activity || got.Max != a.cfg.External.Mail.Yield || got.Max == 0 {
				t.Errorf("%s yields by %+v; want %s after the shared Activity", w.name, got, a.cfg.External.Mail.Yield)
			}
		}
	}
	for name := range wants {
		if !seen[name] {
			t.Errorf("%s was not made", name)
		}
	}
}

// TestNewWorkers_PaceOfEach: each worker lingers and yields as DefaultConfig promises. That was lost once in a refactoring, unnoticed: without it
// everything works, only slower.
func TestNewWorkers_PaceOfEach(t *testing.T) {
	t.Run("all, durability journal", func(t *testing.T) {
		cfg := DefaultConfig(RoleAll)
		cfg.Orders.Durability = store.DurabilityJournal
		a := openForWorkers(t, cfg)
		checkPaces(t, a, defaultPaces)
		service, ok := a.api.payments.Local.(*payment.Service)
		if !ok || reflect.TypeOf(service.Provider) != reflect.TypeOf(server.OutsideLimits(nil)) {
			t.Errorf("the payment provider is a %T: requests that wait for it count as load", service.Provider)
		}
	})
	t.Run("all, durability sql", func(t *testing.T) { // Responses wait for the drain.
		cfg := DefaultConfig(RoleAll)
		cfg.Orders.Durability = store.DurabilitySQL
		checkPaces(t, openForWorkers(t, cfg), map[string]wantPace{
			workerFlusher: {}, workerRelay: {}, workerWriter: {}, workerShipper: {}, workerMailer: {mail: true}, workerDispatcher: {mail: true},
		})
	})
	t.Run("work, durability journal", func(t *testing.T) { // It does not know how busy the API is.
		cfg := DefaultConfig(RoleWork)
		cfg.SQL.MySQL, cfg.Redis.Addr, cfg.Redis.Namespace = realparts.MySQL(t), realparts.Redis(t), "test-"+rand.Text()
		if _, err := MigrateUp(t.Context(), cfg.SQL); err != nil {
			t.Fatal(err)
		}
		a := openForWorkers(t, cfg)
		t.Cleanup(func() { deleteBenchKeys(t, a) })
		checkPaces(t, a, map[string]wantPace{
			workerFlusher: {linger: workers.DefaultFlushLinger}, workerRelay: {linger: workers.DefaultRelayLinger},
			workerWriter: {}, workerShipper: {}, workerMailer: {mail: true}, workerDispatcher: {mail: true},
		})
	})
}
