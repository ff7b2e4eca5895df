package app_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/doctor"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/test/realparts"
)

// TestOpen_OtherNamespace: a second process with another --redis-namespace does not start while the first one runs, and the first one goes on. The doctor
// names the cause.
func TestOpen_OtherNamespace(t *testing.T) {
	t.Parallel()
	dsn, redis := realparts.MySQL(t), realparts.StartRedis(t).Addr()
	cfg := realConfig(t, app.RoleAll, dsn, redis)
	_, err1 := app.MigrateUp(t.Context(), cfg.SQL)
	_, err2 := app.Seed(t.Context(), cfg.SQL)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	shop, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	placeOrder(t, shop.URL())
	other := realConfig(t, app.RoleAll, dsn, redis)
	other.Redis.Namespace = cfg.Redis.Namespace + "-2"
	a, err := app.Open(t.Context(), other, slog.New(slog.DiscardHandler))
	if !errors.Is(err, journal.ErrElsewhere) || !strings.Contains(err.Error(), "--redis-namespace") || !strings.Contains(err.Error(), other.Redis.Namespace) {
		t.Errorf("the second one: %v; want ErrElsewhere", err)
	}
	if err == nil {
		_ = a.Close()
	}
	wantLine(t, diagnose(t, other), "shop.redis-epoch", doctor.Fail, "other processes are on epoch 1", "same --redis and --redis-namespace")
	placeOrderWith(t, shop.URL(), "after-the-other-one")
	wantLine(t, diagnose(t, cfg), "shop.redis-epoch", doctor.OK, "epoch 1", "")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
