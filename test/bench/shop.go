package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

const (
	// initialStock is more than any run can sell: a minute of 100,000 orders a second, far above the rate of a single
	// SQL row.
	initialStock = 6_000_000
	// maxGuests is the number of customers; more than clients, as in a shop.
	maxGuests = 1000
	// tokenTTL is longer than every run.
	tokenTTL    = 24 * time.Hour
	productName = "thing"
)

// shop is a `spillway all` with one hot product.
type shop struct {
	stage  *stage
	server *child
	sku    string
	tokens []string
}

// openShop starts the shop on the real servers and creates the product.
func openShop(ctx context.Context, s *stage, topic string) (*shop, error) {
	key := rand.Text() + rand.Text()
	server, err := s.start(ctx, "spillway", s.spillway, "/readyz", s.environment("SPILLWAY_AUTH_KEY="+key),
		"all", "--data-dir", s.dir, "--redis", s.redis, "--rocketmq", s.rocketmq, "--topic", topic, "--redis-namespace", s.namespace,
		"--durability", "journal", "--customer-orders", "0", "--units-window", "0s", "--drain-timeout", "5s")
	if err != nil {
		return nil, err
	}
	shop := &shop{stage: s, server: server, sku: newSKU()}
	if shop.tokens, err = guests(key); err != nil {
		return nil, err
	}
	if err := shop.stockUp(ctx, key); err != nil {
		return nil, err
	}
	return shop, nil
}

// newSKU returns a name that no earlier run has used: its messages may still be in the topic.
func newSKU() string { return "BENCH" + rand.Text()[:10] }

// guests mints the tokens of the customers.
func guests(key string) ([]string, error) {
	out := make([]string, maxGuests)
	for i := range out {
		var err error
		if out[i], err = mint(key, auth.Caller{Customer: auth.NewGuest()}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func mint(key string, who auth.Caller) (string, error) {
	tokens, err := auth.NewTokens([]byte(key))
	if err != nil {
		return "", err
	}
	token, _, err := tokens.Mint(who, tokenTTL)
	return token, err
}

// stockUp creates the product as an operator does.
func (s *shop) stockUp(ctx context.Context, key string) error {
	token, err := mint(key, auth.Caller{Customer: "bench", Roles: []auth.Role{auth.Operator}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+token)
	_, err = spillwayv1connect.NewCatalogServiceClient(http.DefaultClient, "http://"+s.server.addr).CreateProduct(ctx, &spillwayv1.CreateProductRequest{
		Product: &spillwayv1.ProductInput{
			Sku: s.sku, Name: productName, Price: &spillwayv1.Money{CurrencyCode: "USD", Units: 1, Nanos: 990_000_000},
		},
		InitialStock: initialStock,
	})
	if err != nil {
		return fmt.Errorf("create the hot product: %w", err)
	}
	return nil
}

// measure lets the clients buy the product.
func (s *shop) measure(ctx context.Context, l load) (outcome, error) {
	return l.run(ctx, shoppers(s.server.addr, s.sku, s.tokens))
}

// shoppers returns the clients, which buy one unit of the SKU per call, each time as another customer.
func shoppers(addr, sku string, tokens []string) func(i int) caller {
	body := fmt.Sprintf(`{"lines":[{"sku":%q,"quantity":1}],"currencyCode":"EUR","email":"a@example.com",`+
		`"shippingAddress":{"name":"A","street":"S 1","city":"Berlin","postalCode":"10115","countryCode":"DE"},`+
		`"card":{"number":"4242424242424242","cvv":"123","expiryYear":2040,"expiryMonth":1}}`, sku)
	return func(i int) caller {
		return &shopper{addr: addr, tokens: tokens, name: fmt.Sprintf("bench-%d-", i), body: body, calls: i * len(tokens) / maxClients}
	}
}
