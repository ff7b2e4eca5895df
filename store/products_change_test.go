package store_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

func product(sku string) store.Product {
	return store.Product{
		SKU: order.SKU(sku), Name: "name of " + sku, Price: order.Money{Currency: "USD", Amount: 899}, Categories: []string{"c"}, Stock: 3,
	}
}

func TestProducts_UpdateOfSomeFields(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		p := store.NewProducts(db)
		if err := p.Create(t.Context(), product("A"), "op"); err != nil {
			t.Fatal(err)
		}
		change := store.Product{SKU: "A", Name: "new", Price: order.Money{Currency: "EUR", Amount: 1}, Archived: true}
		if err := p.Update(t.Context(), change, []store.ProductField{store.ProductPrice}); err != nil {
			t.Fatal(err)
		}
		got, err := p.Get(t.Context(), "A")
		if err != nil || got.Name != "name of A" || got.Price != change.Price || got.Archived || len(got.Categories) != 1 {
			t.Errorf("after a new price: %+v, %v", got, err)
		}
	})
}

func TestProducts_ArchivedOnesAreNotListed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		p := store.NewProducts(db)
		for _, sku := range []string{"A", "B", "C"} {
			if err := p.Create(t.Context(), product(sku), "op"); err != nil {
				t.Fatal(err)
			}
		}
		archive := func(archived bool) {
			t.Helper()
			if err := p.Update(t.Context(), store.Product{SKU: "B", Archived: archived}, []store.ProductField{store.ProductArchived}); err != nil {
				t.Fatal(err)
			}
		}
		for _, archived := range []bool{true, false} {
			archive(archived)
			want := map[bool]int{true: 2, false: 3}[archived]
			listed, err1 := p.List(t.Context(), "", 10)
			found, err2 := p.Find(t.Context(), store.ProductQuery{Text: "name", Limit: 10})
			all, err3 := p.ListAll(t.Context(), "", 10)
			if err3 != nil || len(all) != 3 || all[1].SKU != "B" || all[1].Archived != archived {
				t.Errorf("archived %v: all are %+v (%v)", archived, all, err3)
			}
			if page, err := p.ListAll(t.Context(), "A", 1); err != nil || len(page) != 1 || page[0].SKU != "B" {
				t.Errorf("archived %v: the page after A is %+v (%v)", archived, page, err)
			}
			if err1 != nil || err2 != nil || len(listed) != want || len(found) != want {
				t.Errorf("archived %v: %d listed (%v), %d found (%v); want %d", archived, len(listed), err1, len(found), err2, want)
			}
			if got, err := p.Get(t.Context(), "B"); err != nil || got.Archived != archived {
				t.Errorf("read by its SKU: %+v, %v", got, err)
			}
		}
	})
}

func TestProducts_SeedFillsAnEmptyDatabaseOnce(t *testing.T) {
	seeds := []store.Product{product("A"), product("B")}
	onBoth(t, func(t *testing.T, db *store.DB) {
		p := store.NewProducts(db)
		broken := append([]store.Product{product("Z")}, store.Product{SKU: "Y"}) // It has no price.
		if n, err := p.Seed(t.Context(), broken); err == nil || n != 0 {
			t.Errorf("a seed that fails: %d, %v", n, err)
		}
		if n, err := p.Seed(t.Context(), seeds); n != 2 || err != nil {
			t.Fatalf("the first seed: %d, %v; want both", n, err)
		}
		if err := p.Update(t.Context(), store.Product{SKU: "A", Archived: true}, []store.ProductField{store.ProductArchived}); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Seed(t.Context(), append(seeds, product("C"))); n != 0 || err != nil {
			t.Errorf("the second seed: %d, %v; want none", n, err)
		}
		if got, err := p.Get(t.Context(), "A"); err != nil || !got.Archived {
			t.Errorf("A is %+v, %v; want it archived", got, err)
		}
		if listed, err := p.List(t.Context(), "", 10); err != nil || len(listed) != 1 || listed[0].SKU != "B" {
			t.Errorf("listed: %+v, %v; want B alone", listed, err)
		}
	})
}

// TestProducts_MaxPerCustomer: products of before the column have the default, and Update changes it only when asked.
func TestProducts_MaxPerCustomer(t *testing.T) {
	for name, dsn := range map[string]string{"mysql": realparts.MySQL(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "m.db")} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, dsn)
			m, p := store.NewMigrator(db), store.NewProducts(db)
			if err := m.UpBefore(t.Context(), "product_max_per_customer"); err != nil {
				t.Fatal(err)
			}
			db.RawSQL(t, "INSERT INTO products (sku, name, description, picture, price_minor, currency, categories, stock, created_at, updated_at) "+
				"VALUES ('OLD', 'old', '', '', 100, 'EUR', '[]', 7, ?, ?)", at, at)
			if _, err := m.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := func(most int) {
				t.Helper()
				if got, err := p.Get(t.Context(), "OLD"); err != nil || got.MaxPerCustomer != most || got.Stock != 7 || got.Name != "old" {
					t.Errorf("the product is %+v (%v); want at most %d for each customer", got, err, most)
				}
			}
			want(order.DefaultMaxPerCustomer)
			for _, most := range []int{3, 0} {
				if err := p.Update(t.Context(), store.Product{SKU: "OLD", MaxPerCustomer: most}, []store.ProductField{store.ProductMaxPerCustomer}); err != nil {
					t.Fatal(err)
				}
				want(most)
			}
			if err := p.Update(t.Context(), store.Product{SKU: "OLD", Name: "old", MaxPerCustomer: 9}, []store.ProductField{store.ProductName}); err != nil {
				t.Fatal(err)
			}
			want(0)
		})
	}
}

// TestProducts_SaleStart is null unless it is set, and Update can take it away.
func TestProducts_SaleStart(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		products := store.NewProducts(db)
		p := store.Product{SKU: "A", Name: "a", Price: order.Money{Currency: "EUR", Amount: 100}}
		if err := products.Create(t.Context(), p, "test"); err != nil {
			t.Fatal(err)
		}
		for _, start := range []time.Time{{}, time.Date(2030, time.May, 1, 8, 0, 0, 123456000, time.FixedZone("", 7200)), {}} {
			p.SaleStartsAt = start
			if err := products.Update(t.Context(), p, []store.ProductField{store.ProductSaleStart}); err != nil {
				t.Fatal(err)
			}
			if got, err := products.Get(t.Context(), "A"); err != nil || !got.SaleStartsAt.Equal(start) {
				t.Errorf("the sale starts at %v (%v); want %v", got.SaleStartsAt, err, start)
			}
		}
	})
}

// TestProducts_LengthIsInCharacters: a name may have 200 characters, however many bytes each takes.
func TestProducts_LengthIsInCharacters(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		products := store.NewProducts(db)
		p := store.Product{SKU: "A", Name: strings.Repeat("ä", 200), Price: order.Money{Currency: "EUR", Amount: 100}}
		if err := products.Create(t.Context(), p, "test"); err != nil {
			t.Fatal(err)
		}
		p.Name += "ä"
		if err := products.Update(t.Context(), p, []store.ProductField{store.ProductName}); !store.IsRowError(err) {
			t.Errorf("a name of 201 characters: %v; want a row error", err)
		}
	})
}
