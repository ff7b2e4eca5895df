package load

import (
	"context"
	"math/rand/v2"

	"github.com/spillway/spillway/gen/hipstershop"
)

// frontPage is what a visit of the scenario OnlineBoutique does.
type frontPage uint8

const (
	pageHome frontPage = iota
	pageCurrency
	pageProduct
	pageAdd
	pageCart
	pageCheckout
)

// pageWeights are those of Online Boutique's load generator.
var pageWeights = [...]int{pageHome: 1, pageCurrency: 2, pageProduct: 10, pageAdd: 2, pageCart: 3, pageCheckout: 1}

const (
	// maxUnits is the maximum number of units that a visit puts into the cart.
	maxUnits = 10
	// shownRecommendations is the number of recommendations on a page.
	shownRecommendations = 4
	// startCurrency is that of a user who has chosen none.
	startCurrency = "USD"
)

// boutiqueSKUs are the products that are visited, boutiqueCurrencies the currencies that are chosen.
var (
	boutiqueSKUs       = []string{"0PUK6V6EV0", "1YMWWN1N4O", "2ZYFJ3GM2N", "66VCHSJNUP", "6E92ZMYYFZ", "9SIQT8TOJO", "L9ECAV7KIM", "LS4PSXUNUM", "OLJCESPC7Z"}
	boutiqueCurrencies = []string{"EUR", "USD", "JPY", "CAD", "GBP", "TRY"}
)

// drawPage draws what a visit does.
func drawPage(random *rand.Rand) frontPage {
	sum := 0
	for _, weight := range pageWeights {
		sum += weight
	}
	at := random.IntN(sum)
	for p, weight := range pageWeights {
		if at -= weight; at < 0 {
			return frontPage(p) //nolint:gosec // There are six.
		}
	}
	return pageHome
}

// boutiqueVisit makes the calls that the front end makes for the page.
func (r *run) boutiqueVisit(ctx context.Context, s *boutique, v visit, b *buyer) response {
	c := &pageCalls{run: r, shop: s, buyer: b, currency: b.currency}
	switch v.page {
	case pageCurrency:
		b.currency, c.currency = v.currency, v.currency
		c.home(ctx)
	case pageProduct:
		c.product(ctx, v.sku)
	case pageAdd:
		c.add(ctx, v)
		c.cart(ctx)
	case pageCart:
		c.cart(ctx)
	case pageCheckout:
		c.add(ctx, v)
		if c.failed == nil {
			return c.order(ctx, v)
		}
	default:
		c.home(ctx)
	}
	if c.failed != nil {
		return *c.failed
	}
	return response{outcome: Browsed}
}

// pageCalls makes the calls of one visit, until one fails.
type pageCalls struct {
	run      *run
	shop     *boutique
	buyer    *buyer
	currency string
	failed   *response
}

// call makes one call, unless one has failed.
func (c *pageCalls) call(ctx context.Context, step string, f func(ctx context.Context) error) {
	if c.failed != nil {
		return
	}
	a := c.run.calls.attempts(ctx, step, func(ctx context.Context) (response, error) {
		if err := f(ctx); err != nil {
			return classifyError(err), err
		}
		return response{outcome: Browsed}, nil
	})
	if a.unknown = false; a.outcome != Browsed { // No order was sent yet.
		c.failed = &a
	}
}

// header makes the calls of each page: the currencies to choose from, and the number of items in the cart.
func (c *pageCalls) header(ctx context.Context) (items []*hipstershop.CartItem) {
	c.call(ctx, "GetSupportedCurrencies", func(ctx context.Context) error {
		_, err := c.shop.currencies.GetSupportedCurrencies(ctx, &hipstershop.Empty{})
		return err
	})
	c.call(ctx, "GetCart", func(ctx context.Context) error {
		resp, err := c.shop.carts.GetCart(ctx, &hipstershop.GetCartRequest{UserId: c.buyer.token})
		items = resp.GetItems()
		return err
	})
	return items
}

func (c *pageCalls) convert(ctx context.Context, price *hipstershop.Money) {
	c.call(ctx, "Convert", func(ctx context.Context) error {
		_, err := c.shop.currencies.Convert(ctx, &hipstershop.CurrencyConversionRequest{From: price, ToCode: c.currency})
		return err
	})
}

func (c *pageCalls) adverts(ctx context.Context, categories []string) {
	c.call(ctx, "GetAds", func(ctx context.Context) error {
		_, err := c.shop.ads.GetAds(ctx, &hipstershop.AdRequest{ContextKeys: categories})
		return err
	})
}

// read reads a product.
func (c *pageCalls) read(ctx context.Context, id string) (p *hipstershop.Product) {
	c.call(ctx, stepRead, func(ctx context.Context) (err error) {
		p, err = c.shop.products.GetProduct(ctx, &hipstershop.GetProductRequest{Id: id})
		return err
	})
	return p
}

// recommended reads the recommendations that a page shows.
func (c *pageCalls) recommended(ctx context.Context, ids ...string) {
	var found []string
	c.call(ctx, "ListRecommendations", func(ctx context.Context) error {
		resp, err := c.shop.recommendations.ListRecommendations(ctx, &hipstershop.ListRecommendationsRequest{UserId: c.buyer.token, ProductIds: ids})
		found = resp.GetProductIds()
		return err
	})
	for _, id := range found[:min(len(found), shownRecommendations)] {
		c.read(ctx, id)
	}
}

func (c *pageCalls) home(ctx context.Context) {
	c.header(ctx)
	var all []*hipstershop.Product
	c.call(ctx, stepList, func(ctx context.Context) error {
		resp, err := c.shop.products.ListProducts(ctx, &hipstershop.Empty{})
		all = resp.GetProducts()
		return err
	})
	for _, p := range all {
		c.convert(ctx, p.GetPriceUsd())
	}
	c.adverts(ctx, nil)
}

func (c *pageCalls) product(ctx context.Context, id string) {
	p := c.read(ctx, id)
	c.header(ctx)
	c.convert(ctx, p.GetPriceUsd())
	c.recommended(ctx, id)
	c.adverts(ctx, p.GetCategories())
}

func (c *pageCalls) cart(ctx context.Context) {
	items := c.header(ctx)
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = item.GetProductId()
	}
	c.recommended(ctx, ids...)
	var cost *hipstershop.Money
	c.call(ctx, "GetQuote", func(ctx context.Context) error {
		resp, err := c.shop.shipping.GetQuote(ctx, &hipstershop.GetQuoteRequest{Items: items})
		cost = resp.GetCostUsd()
		return err
	})
	c.convert(ctx, cost)
	for _, id := range ids {
		p := c.read(ctx, id)
		c.convert(ctx, p.GetPriceUsd())
	}
}

// add looks at the product and puts it into the cart, which is emptied before if it could not be ordered.
func (c *pageCalls) add(ctx context.Context, v visit) {
	c.product(ctx, v.sku)
	if c.buyer.dirty {
		c.call(ctx, stepEmpty, func(ctx context.Context) error { return c.shop.EmptyCart(ctx, c.buyer.token) })
		c.buyer.dirty = c.failed != nil
	}
	c.buyer.last = ""
	c.call(ctx, "AddItem", func(ctx context.Context) error {
		_, err := c.shop.carts.AddItem(ctx, &hipstershop.AddItemRequest{
			UserId: c.buyer.token, Item: &hipstershop.CartItem{ProductId: v.sku, Quantity: v.quantity},
		})
		return err
	})
}

// order places the order, and shows it.
func (c *pageCalls) order(ctx context.Context, v visit) response {
	req := c.run.request(v)
	a := c.run.calls.attempts(ctx, stepPlace, func(ctx context.Context) (response, error) {
		o, err := c.shop.Place(ctx, c.buyer.token, req)
		return classify(o, err), err
	})
	if a.outcome == Accepted {
		c.buyer.last = a.orderID
		c.recommended(ctx)
		c.header(ctx)
		return a
	}
	c.buyer.dirty = true // Its products may be sold out, or more than one customer may have.
	return a
}
