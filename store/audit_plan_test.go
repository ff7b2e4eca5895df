package store_test

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestAuditView_TotalsNeedOnePass checks that MySQL does not sum the items of each order by itself: with statistics that are older than the items it
// would read all of them for each order.
func TestAuditView_TotalsNeedOnePass(t *testing.T) {
	dsn := realparts.MySQL(t)
	if _, err := store.NewMigrator(openDB(t, dsn)).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var plan string
	if err := db.QueryRowContext(t.Context(), "EXPLAIN FORMAT=JSON "+store.WrongTotals).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plan, `"dependent": true`) || !strings.Contains(plan, "order_items") {
		t.Errorf("the plan has a part for each order: %s", plan)
	}
}
