package app_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestApp_ShutdownDrainsToMySQL: the journal and the queue end with the process if Redis is embedded, whatever SQL is. With durability journal they have
// the only copy of what the flusher and the relay linger for.
func TestApp_ShutdownDrainsToMySQL(t *testing.T) {
	t.Parallel()
	cfg := realConfig(t, app.RoleAll, realparts.MySQL(t), "")
	cfg.Orders.Durability, cfg.Drain.FlushLinger, cfg.Drain.RelayLinger = store.DurabilityJournal, time.Second, time.Second
	_, err1 := app.MigrateUp(t.Context(), cfg.SQL)
	_, err2 := app.Seed(t.Context(), cfg.SQL)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	shop, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	var ids []order.ID
	for _, key := range []string{"first", "second", "third"} {
		_, id := placeOrderWith(t, shop.URL(), key)
		ids = append(ids, order.ID(id))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), cfg.SQL.MySQL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	found, err := store.NewOrders(db).ByIDs(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if found[id].State != order.Shipped {
			t.Errorf("order %s: %+v; want SHIPPED", id, found[id])
		}
	}
}
