package doctor

import (
	"path/filepath"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
)

// TestShopEpoch_DurabilityChanged: after `spillway durability sql`, the shop waits for the Redis that has what was acknowledged before.
func TestShopEpoch_DurabilityChanged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "spillway.db")
	migrate(t, "sqlite:"+file)
	db, err := store.Open(t.Context(), "sqlite:"+file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := newSession(Config{SQL: &SQL{DSN: "sqlite:" + file, File: file, Embedded: true}, Orders: Orders{Uses: true, Durability: DurabilityAuto, Default: "sql"}})
	t.Cleanup(s.close)
	st := store.NewStock(db)
	if _, err := st.NextEpoch(t.Context(), journal.Offset{}, journal.Epoch{Instance: "run1", Durability: store.DurabilityJournal}); err != nil {
		t.Fatal(err)
	}
	want(t, s, "sql.reachable", OK, file, "")
	want(t, s, "sql.migrations", OK, "", "")
	want(t, s, "shop.epoch", OK, "epoch 1 is open", "")
	if err := st.SetDurability(t.Context(), 0, store.DurabilitySQL); err != nil {
		t.Fatal(err)
	}
	want(t, s, "shop.epoch", Warn, "not taken in SQL before they are flushed", "start Redis with the data that it had")
}
