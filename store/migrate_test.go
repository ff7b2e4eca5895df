package store_test

import (
	"path/filepath"
	"testing"

	"github.com/spillway/spillway/store"
)

// TestMigrator_SQLiteAppliesAllOrNothing: a migration that fails leaves nothing behind, and the next run applies all of them. The start of
// an embedded shop that is killed meanwhile begins anew in the same way.
func TestMigrator_SQLiteAppliesAllOrNothing(t *testing.T) {
	db := openDB(t, "sqlite:"+filepath.Join(t.TempDir(), "m.db"))
	m := store.NewMigrator(db)
	db.RawSQL(t, "CREATE TABLE stock_returns (in_the_way int)")
	if applied, err := m.Up(t.Context()); err == nil || len(applied) != 0 {
		t.Fatalf("up with a table in the way: %v, %v; want an error and nothing applied", applied, err)
	}
	const tables = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'"
	if n, err := store.Count(t.Context(), db, tables); err != nil || n != 1 {
		t.Errorf("%d tables, %v; want the one in the way", n, err)
	}
	db.RawSQL(t, "DROP TABLE stock_returns")
	if applied, err := m.Up(t.Context()); err != nil || len(applied) == 0 {
		t.Errorf("up again: %v, %v", applied, err)
	}
	if on, err := store.Count(t.Context(), db, "PRAGMA foreign_keys"); err != nil || on != 1 {
		t.Errorf("foreign_keys is %d, %v; want 1", on, err)
	}
}
