package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// createShelf creates five products, one of them archived.
func createShelf(t *testing.T, p *store.Products) {
	t.Helper()
	for i, pr := range []store.Product{
		{SKU: "A", Name: "Blue mug", Description: "A mug of clay, dishwasher-safe", Categories: []string{"kitchen", "gifts"}, Stock: 3},
		{SKU: "B", Name: "blue Lamp", Description: "It lights the desk", Categories: []string{"home"}, Stock: 0},
		{SKU: "C", Name: "Äpfel", Description: "Fruit. 新鲜苹果", Categories: []string{"kitchen"}, Stock: 1},
		{SKU: "D", Name: "Mug, archived", Description: "blue", Categories: []string{"kitchen"}, Stock: 9, Archived: true},
		{SKU: "E", Name: "Candle", Description: "Goes with the mug; 100% wax", Categories: []string{"Kitchen", "it's \"new\""}, Stock: 2},
	} {
		pr.Price = order.Money{Currency: "USD", Amount: []order.Cents{500, 900, 100, 1, 500}[i]}
		if err := p.Create(t.Context(), pr, "op"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProducts_Find(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		p := store.NewProducts(db)
		createShelf(t, p)
		for name, c := range map[string]struct {
			q    store.ProductQuery
			want string
		}{
			"all":                      {store.ProductQuery{}, "ABCE"},
			"archived ones as well":    {store.ProductQuery{Archived: true}, "ABCDE"},
			"in a category":            {store.ProductQuery{Category: "kitchen"}, "AC"},
			"in another, by its case":  {store.ProductQuery{Category: "Kitchen"}, "E"},
			"in one that needs quotes": {store.ProductQuery{Category: "it's \"new\""}, "E"},
			"in none":                  {store.ProductQuery{Category: "%"}, ""},
			"in stock":                 {store.ProductQuery{InStock: true}, "ACE"},
			"cheapest first":           {store.ProductQuery{Sort: store.ByPrice}, "CAEB"},
			"most expensive first":     {store.ProductQuery{Sort: store.ByPriceDescending}, "BEAC"},
			"newest first":             {store.ProductQuery{Sort: store.Newest}, "ECBA"},
			"newest in a category":     {store.ProductQuery{Sort: store.Newest, Category: "kitchen"}, "CA"},
			"a word":                   {store.ProductQuery{Text: "MUG"}, "AE"},
			"words in any order":       {store.ProductQuery{Text: "mug blue"}, "A"},
			"the beginning of a word":  {store.ProductQuery{Text: "dish cla"}, "A"},
			"a short word":             {store.ProductQuery{Text: "of mug"}, "A"},
			"a word of every text":     {store.ProductQuery{Text: "the mug"}, "E"},
			"with a hyphen":            {store.ProductQuery{Text: "dishwasher-safe"}, "A"},
			"a part of Chinese":        {store.ProductQuery{Text: "苹果"}, "C"},
			"no pattern":               {store.ProductQuery{Text: "1%x"}, ""},
			"no operator":              {store.ProductQuery{Text: "+mug* -blue \"("}, ""},
			"a word in a category":     {store.ProductQuery{Text: "mug", Category: "gifts"}, "A"},
			"a word, sorted":           {store.ProductQuery{Text: "blue", Sort: store.ByPriceDescending}, "BA"},
		} {
			for limit := 1; limit <= 3; limit++ {
				var got string
				c.q.After, c.q.Limit = "", limit
				for range 10 {
					page, err := p.Find(t.Context(), c.q)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					for _, f := range page {
						got += string(f.SKU)
						c.q.After = f.SKU
					}
					if len(page) < limit {
						break
					}
				}
				if got != c.want {
					t.Errorf("%s, %d a page: %q; want %q", name, limit, got, c.want)
				}
			}
		}
		named, err := p.Find(t.Context(), store.ProductQuery{Sort: store.ByName, Limit: 10})
		// SQLite does not know that Ä is an A.
		if got := skus(named); err != nil || (got != "CBAE" && got != "BAEC") {
			t.Errorf("by name: %s, %v", got, err)
		}
	})
}

func skus(products []store.Product) (out string) {
	for _, p := range products {
		out += string(p.SKU)
	}
	return out
}

// TestFind_ManySearchesLeaveOrdersAlone runs 64 searches at once, again and again, of a catalogue that takes time to search. Orders are written
// meanwhile: a search that gets no connection in time is refused, an order is not.
func TestFind_ManySearchesLeaveOrdersAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		p, orders := store.NewProducts(db), store.NewOrders(db)
		for i := range 50 {
			pr := product(fmt.Sprintf("P%02d", i))
			pr.Description = string(slices.Repeat([]byte("words to look through "), 150))
			if err := p.Create(t.Context(), pr, "op"); err != nil {
				t.Fatal(err)
			}
		}
		const searchers, placed = 64, 20
		var wg sync.WaitGroup
		var stop atomic.Bool
		var served atomic.Int64
		first := make(chan struct{})
		for i := range searchers {
			wg.Go(func() {
				for n := 0; !stop.Load(); n++ {
					_, err := p.Find(t.Context(), store.ProductQuery{Text: fmt.Sprintf("no%d such%d of", i, n), Limit: 10})
					if err != nil && !errors.Is(err, order.ErrOverloaded) {
						t.Errorf("search: %v", err)
						return
					}
					if served.Add(1) == searchers {
						close(first)
					}
				}
			})
		}
		<-first
		for i := range placed {
			o := anOrder(fmt.Sprint("k", i))
			mustApply(t, orders, change(o, order.Paid))
			if got, err := orders.Get(t.Context(), o.ID); err != nil || got.State != order.Paid {
				t.Errorf("order %d beside searches: %v, %v", i, got.State, err)
			}
			if open := db.SearchConns(); open > 2 {
				t.Errorf("searches have %d connections; want 2 at most", open)
			}
		}
		stop.Store(true)
		wg.Wait()
	})
}
