package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/mysqlproxy"
	"github.com/spillway/spillway/test/realparts"
)

// migratedMySQL returns the configuration of a database with tables.
func migratedMySQL(t *testing.T) *mysql.Config {
	t.Helper()
	cfg, err := mysql.ParseDSN(realparts.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.NewMigrator(openAs(t, cfg)).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func openAs(t *testing.T, cfg *mysql.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestMySQL_FewConnections: the server gives the user five connections, fewer than one process would have of one kind. Reads, searches and the rest, of two
// processes, take turns.
func TestMySQL_FewConnections(t *testing.T) {
	cfg := migratedMySQL(t)
	root, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	user, password := "few_"+strings.ToLower(rand.Text()[:10]), rand.Text()
	for _, statement := range []string{"CREATE USER " + user + " IDENTIFIED BY '" + password + "' WITH MAX_USER_CONNECTIONS 5", "GRANT ALL ON " + cfg.DBName + ".* TO " + user} {
		if _, err := root.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		defer root.Close()
		if _, err := root.ExecContext(context.Background(), "DROP USER "+user); err != nil {
			t.Error(err)
		}
	})
	cfg = cfg.Clone()
	cfg.User, cfg.Passwd = user, password
	var wg sync.WaitGroup
	for range 2 {
		db := openAs(t, cfg)
		products := store.NewProducts(db)
		for name, do := range map[string]func() error{
			"reads": func() error { _, err := store.NewProducts(db.Reads()).List(t.Context(), "", 1); return err },
			"searches": func() error {
				_, err := products.Find(t.Context(), store.ProductQuery{Text: "mug", Limit: 1})
				return err
			},
			"the rest": func() error { _, err := store.NewOrders(db).Get(t.Context(), order.NewID(0, at)); return err },
		} {
			wg.Go(func() {
				worked := 0
				for deadline := time.Now().Add(2 * time.Minute); worked < 5 && time.Now().Before(deadline); {
					if err := do(); err == nil || errors.Is(err, order.ErrNotFound) {
						worked++
					} else if !errors.Is(err, order.ErrUnavailable) && !errors.Is(err, order.ErrOverloaded) {
						t.Errorf("%s: %v", name, err)
					}
				}
				if worked < 5 {
					t.Errorf("%s worked %d times; want 5", name, worked)
				}
			})
		}
	}
	wg.Wait()
}

// TestMySQL_OldPrimaryBecomesReadOnly: connections to it stay open, and the address leads to the new primary.
func TestMySQL_OldPrimaryBecomesReadOnly(t *testing.T) {
	cfg := migratedMySQL(t)
	proxy := mysqlproxy.Start(t, cfg.Addr)
	cfg.Addr = proxy.Addr()
	db := openAs(t, cfg)
	ledger := store.NewCharges(db)
	t.Cleanup(ledger.Close)
	record := func() error {
		id := order.NewID(0, time.Now())
		_, err := ledger.Record(
			t.Context(),
			order.Charge{OrderID: id, ChargeID: string(id), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 1}},
		)
		return err
	}
	if err := record(); err != nil {
		t.Fatal(err)
	}
	proxy.InjectOld(mysqlproxy.Writes(mysqlproxy.ReadOnly))
	if err := record(); !errors.Is(err, order.ErrUnavailable) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("on the old primary: %v", err)
	}
	deadline := time.Now().Add(2 * time.Minute) // Connections live for five minutes.
	for err := record(); err != nil; err = record() {
		if time.Now().After(deadline) {
			t.Fatalf("the connections to the old primary stay: %v", err)
		}
	}
}
