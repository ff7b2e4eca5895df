package app

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// wantNeeds is what a process with one service or one worker needs.
type wantNeeds struct{ sql, redis, queue bool }

var (
	needsNothing = wantNeeds{}
	needsSQL     = wantNeeds{sql: true}
	needsRedis   = wantNeeds{sql: true, redis: true}
	needsQueue   = wantNeeds{sql: true, queue: true}
	needsAll     = wantNeeds{sql: true, redis: true, queue: true}
)

// The table of docs/services.md.
var (
	serviceNeeds = map[string]wantNeeds{
		serviceSession: needsNothing, serviceCurrency: needsNothing,
		servicePayment: needsSQL, serviceShipping: needsSQL, serviceEmail: needsSQL,
		serviceCatalog: needsRedis, serviceCart: needsRedis, serviceCheckout: needsRedis, serviceOrder: needsRedis,
		serviceDeadLetters: needsRedis, serviceAudit: needsRedis, serviceOps: needsRedis,
	}
	workerNeeds = map[string]wantNeeds{
		workerFlusher: needsRedis, workerReconciler: needsRedis, workerCanceller: needsRedis, workerLost: needsRedis,
		workerRepairer: needsRedis, workerRescuer: needsRedis,
		workerRelay: needsAll, workerWriter: needsAll, workerShipper: needsAll,
		workerMailer: needsQueue, workerDrain: needsQueue,
		workerDispatcher: needsSQL, workerRefunds: needsSQL,
	}
)

// alone is the configuration of a process with one service or one worker, on the servers that it needs.
func alone(name string, want wantNeeds) Config {
	c := DefaultConfig(RoleWork)
	c.Workers = []string{name}
	if slices.Contains(serviceNames, name) {
		c = DefaultConfig(RoleServe)
		c.Services, c.Auth.Key = []string{name}, strings.Repeat("k", 32)
		if !c.public() { // Only other processes call it.
			c.Internal.Listen = "127.0.0.1:0"
		}
	}
	if want.sql {
		c.SQL.MySQL = "root@tcp(127.0.0.1:3306)/shop"
	}
	if want.redis {
		c.Redis.Addr = "127.0.0.1:6379"
	}
	if want.queue {
		c.Queue.RocketMQ = "127.0.0.1:8081"
	}
	return c
}

// eachAlone calls f for a process with each service, and with each worker.
func eachAlone(t *testing.T, f func(t *testing.T, name string, want wantNeeds)) {
	t.Helper()
	for _, names := range []struct {
		all   []string
		needs map[string]wantNeeds
	}{{serviceNames, serviceNeeds}, {workerNames, workerNeeds}} {
		for _, name := range names.all {
			want, ok := names.needs[name]
			if !ok {
				t.Errorf("%s is not in the table", name)
			}
			t.Run(name, func(t *testing.T) { f(t, name, want) })
		}
	}
}

// TestNeeds_OfEachAlone: a process requires the servers that it uses, and no others.
func TestNeeds_OfEachAlone(t *testing.T) {
	t.Parallel()
	eachAlone(t, func(t *testing.T, name string, want wantNeeds) {
		c := alone(name, want)
		n := c.needs()
		if got := (wantNeeds{n.sql, n.redis, n.queue}); got != want {
			t.Errorf("needs %+v, want %+v", got, want)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("with what it needs: %v", err)
		}
		for flag, spoil := range map[string]func(){"--mysql": func() { c.SQL.MySQL = "" }, "--redis": func() { c.Redis.Addr = "" }} {
			if flag == "--mysql" && !want.sql || flag == "--redis" && !want.redis {
				continue
			}
			c = alone(name, want)
			spoil()
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("without %s: %v", flag, err)
			}
		}
	})
}

// TestNeeds_QueueInRedis: without RocketMQ, a worker with a queue needs Redis.
func TestNeeds_QueueInRedis(t *testing.T) {
	t.Parallel()
	c := alone(workerMailer, needsQueue)
	c.Queue.RocketMQ = ""
	if n := c.needs(); !n.redis || !n.queue {
		t.Errorf("%+v", n)
	}
}

// TestOpen_EachAlone: a process with one service or one worker opens with what it needs alone, and its readiness checks just that.
func TestOpen_EachAlone(t *testing.T) {
	t.Parallel()
	sql, redis, namespace := SQLConfig{MySQL: realparts.MySQL(t)}, realparts.Redis(t), "test-"+rand.Text()
	if _, err := MigrateUp(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	eachAlone(t, func(t *testing.T, name string, want wantNeeds) {
		c := alone(name, want)
		c.HTTP.Listen, c.SQL.DataDir = "127.0.0.1:0", t.TempDir()
		if want.sql {
			c.SQL.MySQL = sql.MySQL
		}
		if want.redis {
			c.Redis.Addr, c.Redis.Namespace = redis, namespace
		}
		a, err := Open(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ready := a.deps.ready()
		if _, ok := ready["sql"]; ok != want.sql {
			t.Errorf("sql is checked: %t", ok)
		}
		if _, ok := ready["stock"]; ok != want.redis {
			t.Errorf("stock is checked: %t", ok)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop() // It starts all that it has, and ends at once.
		if err := errors.Join(a.Run(ctx), a.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestConfig_UnknownService: the error lists those that there are.
func TestConfig_UnknownService(t *testing.T) {
	t.Parallel()
	c := alone("catalogue", needsNothing)
	c.Role, c.Services, c.Workers = RoleServe, []string{"catalogue"}, nil
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "session, catalog, cart") {
		t.Error(err)
	}
}
