package server

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/currency"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// provocation causes an error and returns the response's body.
type provocation func(t *testing.T, s *refusingShop) string

// refusingShop is a testShop behind a server.
type refusingShop struct {
	*shopFixture
	services Services
	dead     *store.DeadLetters
	// placed counts the idempotency keys.
	placed int
}

func openRefusingShop(t *testing.T) *refusingShop {
	t.Helper()
	s := &refusingShop{shopFixture: openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db"))}
	rates, err := currency.Load()
	if err != nil {
		t.Fatal(err)
	}
	live, err := currency.New(currency.Config{}, discardLog)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	namespace := s.keys.Namespace
	products := store.NewProducts(s.db)
	cache := catalog.NewCache("{"+namespace, s.redis.Client(), stubBreaker{}, products, discardLog)
	carts := cart.New(namespace, s.redis.Client(), stubBreaker{})
	s.checkout.Carts, s.dead = carts, store.NewDeadLetters(s.db)
	s.services = Services{
		Session: Session{Tokens: tokens},
		Catalog: Catalog{Products: products, Cache: cache, Available: s.Stock, Rates: rates, Adjuster: Adjustments{
			Counters: s.Stock, Store: store.NewStock(s.db), Available: s.Stock,
			InSQL: func(context.Context, journal.Offset) error { s.flush(t); return nil },
		}},
		Cart: Cart{
			Carts:     carts,
			Products:  cache,
			Available: s.Stock,
			Rates:     rates,
			Guests:    carts,
			Tokens:    tokens,
		}, Currency: Currency{Rates: live}, Checkout: s.checkout,
		Order: Orders{
			Reader: s.checkout.Reader, Changing: s.checkout.Reader, Canceller: s.canceller, Refunder: s.refunder,
			Claims: store.NewGuestClaims(s.db), Guests: s.Stock, Tokens: tokens,
		},
		Shipping:    shipping.Service{Rates: rates, Shipments: s.orders, Orders: s.checkout.Reader},
		DeadLetters: DeadLetters{Store: s.dead, Replayer: fakeStaleReplayer{s.dead}},
		Audit:       NewAudit(func(context.Context, audit.Options) (audit.Report, error) { return audit.Report{}, nil }),
	}
	return s
}

// fakeStaleReplayer replays a dead letter that was edited since it was read.
type fakeStaleReplayer struct{ dead *store.DeadLetters }

func (fakeStaleReplayer) Check(context.Context, int64) error { return nil }

func (r fakeStaleReplayer) ReplayNoted(ctx context.Context, id int64, actor, _ string) error {
	return r.dead.CloseReplayed(ctx, id, []byte("older"), store.DeadLetterAction{Actor: actor})
}

// caller sends requests to a server of the shop.
type caller struct {
	t *testing.T
	s *refusingShop
	e *edgeFixture
}

// serve starts a server of the shop; change may replace services.
func (s *refusingShop) serve(t *testing.T, change func(*Services), config ...func(*Config)) caller {
	t.Helper()
	services := s.services
	if change != nil {
		change(&services)
	}
	e := startServer(t, services, config...)
	return caller{t, s, e}
}

// call sends a request as a customer, and returns the response's body.
func (c caller) call(procedure, body string, headers ...string) string {
	c.t.Helper()
	if streams[procedure] {
		headers = append(headers, "Content-Type", "application/connect+json")
		body = string([]byte{0, 0, 0, 0, byte(len(body))}) + body
	}
	_, _, text := c.e.post(c.t, procedure, c.e.token(c.t, "c1"), body, headers...)
	return text
}

// operate sends a request as an operator.
func (c caller) operate(procedure, body string, headers ...string) string {
	c.t.Helper()
	_, _, text := c.e.post(c.t, procedure, c.e.token(c.t, "ops", auth.Operator), body, headers...)
	return text
}

// order sends an order of A with a fresh key, with parts of its body replaced.
func (c caller) order(replace ...string) string {
	c.t.Helper()
	return c.call(placeProcedure, orderOfA(replace...), keyHeader, c.s.key())
}

func (s *refusingShop) key() string {
	s.placed++
	return fmt.Sprintf("key-%d", s.placed)
}

func orderOfA(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(orderBody("OLJCESPC7Z", "A", `"quantity":2`, `"quantity":1`))
}

// idBody is a request for an order.
func idBody(id string) string { return fmt.Sprintf(`{"orderId":%q}`, id) }

// paid places a paid order that has its row in SQL.
func (s *refusingShop) paid(t *testing.T) string {
	t.Helper()
	id := s.place(t, s.key(), goodCard).GetId()
	s.flush(t)
	return id
}

func (c caller) refund(id, amount string) string {
	c.t.Helper()
	return c.operate(spillwayv1connect.OrderServiceRefundOrderProcedure, fmt.Sprintf(`{"orderId":%q,"reason":"r"%s}`, id, amount), keyHeader, c.s.key())
}

// claim makes the guest's orders the customer's.
func (s *refusingShop) claim(t *testing.T, guest, customer order.CustomerID) {
	t.Helper()
	if err := store.NewGuestClaims(s.db).Claim(t.Context(), store.GuestClaim{Guest: guest, Customer: customer, At: time.Now(), Stale: claimKept}); err != nil {
		t.Fatal(err)
	}
}

// claimGuest claims the guest's orders as a customer, and returns the response's body.
func (s *refusingShop) claimGuest(t *testing.T, guest string) string {
	t.Helper()
	c := s.serve(t, nil)
	return c.call(spillwayv1connect.OrderServiceClaimGuestOrdersProcedure, fmt.Sprintf(`{"guestToken":%q}`, c.e.token(t, guest)))
}

const refund12 = `,"amount":{"currencyCode":"EUR","units":"12"}`

// pay pays an order with a card.
func (c caller) pay(id string) string {
	c.t.Helper()
	return c.call(spillwayv1connect.CheckoutServicePayOrderProcedure,
		fmt.Sprintf(`{"orderId":%q,"card":{"number":%q,"cvv":"123","expiryYear":2030,"expiryMonth":1}}`, id, goodCard))
}

// deadLetter puts an open dead letter, and returns a request for it.
func (s *refusingShop) deadLetter(t *testing.T) string {
	t.Helper()
	f := store.DeadLetter{DedupKey: s.key(), Source: "order_writer", Reason: "why", PayloadType: wire.TypeBatch, Payload: []byte("garbage")}
	if err := s.dead.Put(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	found, err := s.dead.List(t.Context(), store.DeadLetterFilter{}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"id":"%d","reason":"r"`, found[0].ID)
}

// watch watches a pending order with a hub of the config.
func (s *refusingShop) watch(t *testing.T, stopped bool, change func(*HubConfig)) string {
	t.Helper()
	id := s.place(t, s.key(), "").GetId()
	cfg := DefaultHubConfig()
	change(&cfg)
	hub := NewHub(cfg, newFakeFeed(), s.Stock, s.orders, discardLog)
	if stopped {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		hub.Run(ctx)
	}
	c := s.serve(t, func(v *Services) { v.Order = Orders{Reader: s.checkout.Reader, Hub: hub} })
	return c.call(spillwayv1connect.OrderServiceWatchOrderProcedure, idBody(id))
}

// withCheckout serves a changed copy of the checkout.
func (s *refusingShop) withCheckout(t *testing.T, change func(*Checkout)) caller {
	t.Helper()
	c := s.checkout
	changed := &Checkout{
		Prices: c.Prices, Carts: c.Carts, Rates: c.Rates, Shipping: c.Shipping, Payments: c.Payments, Stock: c.Stock, Orders: c.Orders,
		Cancellations: c.Cancellations,
		Durable:       c.Durable, Log: c.Log, Reader: c.Reader, Partition: c.Partition, Paying: c.Paying, PayWithin: c.PayWithin, Now: c.Now,
	}
	change(changed)
	return s.serve(t, func(v *Services) { v.Checkout = changed })
}

// fullStock is the shop's stock with room for one journal entry.
func (s *refusingShop) fullStock() *stock.Stock {
	limits := stock.DefaultLimits()
	limits.JournalMax, limits.Timeout = 1, testWait
	return stock.New(s.keys.Keys, s.redis, s.epochs, store.NewStock(s.db), limits, stubBreaker{})
}

// stubSoldReserve is a stock of which only a reserve is sold, which is gone.
type stubSoldReserve struct{ Reserver }

func (stubSoldReserve) Reserve(_ context.Context, r stock.Request) (stock.Reservation, error) {
	return stock.Reservation{}, &order.RetryError{After: time.Second, Err: order.ReserveSoldOut(r.Demand[0].SKU)}
}

// stubNeverDurable is a wait that ends without the place being durable.
type stubNeverDurable struct{ stubDurable }

func (stubNeverDurable) Wait(context.Context, journal.Offset, order.ID) error {
	return journal.ErrEpochPassed
}

// stubSlowSearches are products of which no search ends in time.
type stubSlowSearches struct{ ProductStore }

func (stubSlowSearches) Find(context.Context, store.ProductQuery) ([]store.Product, error) {
	return nil, &order.RetryError{After: time.Second, Err: order.Refuse(order.ErrOverloaded, order.ReasonSearchTooSlow, "the search took too long")}
}

var plainText = []string{"Content-Type", "text/plain"}

// provocations has one for each reason.
var provocations = map[order.Reason]provocation{
	"INVALID_FIELD": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).order(`"quantity":1`, `"quantity":0`)
	},
	"MALFORMED_BODY": func(t *testing.T, s *refusingShop) string { return s.serve(t, nil).order(`{"lines"`, `"lines"`) },
	"BODY_TOO_LARGE": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).order("B 1", strings.Repeat("x", maxBodyBytes))
	},
	"UNSUPPORTED_CONTENT_TYPE": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).call(placeProcedure, "{}", plainText...)
	},
	"UNSUPPORTED_CURRENCY": func(t *testing.T, s *refusingShop) string { return s.serve(t, nil).order("EUR", "XXX") },
	"CART_FULL": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil)
		c.call(spillwayv1connect.CartServiceAddItemProcedure, `{"sku":"A","quantity":1000}`)
		return c.call(spillwayv1connect.CartServiceAddItemProcedure, `{"sku":"A","quantity":1}`)
	},
	"TOKEN_MISSING": func(t *testing.T, s *refusingShop) string {
		_, _, body := s.serve(t, nil).e.post(t, spillwayv1connect.CartServiceGetCartProcedure, "", "{}")
		return body
	},
	"TOKEN_INVALID": func(t *testing.T, s *refusingShop) string {
		_, _, body := s.serve(t, nil).e.post(t, spillwayv1connect.CartServiceGetCartProcedure, "x", "{}")
		return body
	},
	"ISSUER_UNAVAILABLE": unknownIssuerKey,
	"GUEST_TOKEN_INVALID": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).call(spillwayv1connect.CartServiceMergeGuestCartProcedure, `{"guestToken":"x"}`)
	},
	"GUEST_CLAIMED": func(t *testing.T, s *refusingShop) string {
		s.claim(t, order.GuestPrefix+"claimed", "ada")
		return s.claimGuest(t, order.GuestPrefix+"claimed")
	},
	"TOO_MANY_GUESTS": func(t *testing.T, s *refusingShop) string {
		for i := range store.MaxGuestClaims {
			s.claim(t, order.CustomerID(fmt.Sprintf("%s%d", order.GuestPrefix, i)), "c1")
		}
		return s.claimGuest(t, order.GuestPrefix+"last")
	},
	"LOGIN_REQUIRED": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil)
		guest := c.e.token(t, order.GuestPrefix+"1")
		_, _, body := c.e.post(t, spillwayv1connect.CartServiceMergeGuestCartProcedure, guest, `{"guestToken":"x"}`)
		return body
	},
	"ROLE_REQUIRED": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).call(spillwayv1connect.AuditServiceRunAuditProcedure, "{}")
	},
	"PROCEDURE_NOT_SERVED": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).call("/spillway.v1.CartService/Sell", "{}")
	},

	"NOT_FOUND": fails(fmt.Errorf("a refund: %w", order.ErrNotFound)),
	"PRODUCT_NOT_FOUND": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).order(`"A","quantity"`, `"NOPE","quantity"`)
	},
	"ORDER_NOT_FOUND": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).call(spillwayv1connect.OrderServiceGetOrderProcedure, idBody(string(newID())))
	},
	"SHIPMENT_NOT_FOUND": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).call(spillwayv1connect.ShippingServiceGetShipmentProcedure, idBody(s.paid(t)))
	},
	"DEAD_LETTER_NOT_FOUND": func(t *testing.T, s *refusingShop) string { return s.serve(t, nil).operate(getLetter, `{"id":"999"}`) },
	"ALREADY_EXISTS":        fails(fmt.Errorf("a charge: %w", order.ErrAlreadyExists)),
	"PRODUCT_EXISTS":        func(t *testing.T, s *refusingShop) string { return s.serve(t, nil).create("A", "") },
	"ADJUSTMENT_EXISTS": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil)
		c.operate(spillwayv1connect.CatalogServiceAdjustStockProcedure, `{"sku":"A","delta":"1","reason":"r","adjustmentId":"a1"}`)
		return c.operate(spillwayv1connect.CatalogServiceAdjustStockProcedure, `{"sku":"A","delta":"2","reason":"r","adjustmentId":"a1"}`)
	},
	"IDEMPOTENCY_KEY_REUSED": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil)
		c.call(placeProcedure, orderOfA(), keyHeader, "reused")
		return c.call(placeProcedure, orderOfA("a@example.com", "b@example.com"), keyHeader, "reused")
	},

	"FAILED_PRECONDITION": fails(fmt.Errorf("the charge is void: %w", order.ErrFailedPrecondition)),
	"SOLD_OUT": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).order(`"quantity":1`, `"quantity":900`)
	},
	"PAYMENT_DECLINED": func(t *testing.T, s *refusingShop) string { return s.serve(t, nil).order(cardNumber, declinedCard) },
	"PRICE_CHANGED": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).order(`"currencyCode"`, `"expectedTotal":{"currencyCode":"EUR","units":"1"},"currencyCode"`)
	},
	"UNIT_LIMIT_EXCEEDED": func(t *testing.T, s *refusingShop) string {
		return s.withCheckout(t, func(c *Checkout) { c.Prices = stubLimitedPrices{most: 1} }).order(`"quantity":1`, `"quantity":2`)
	},
	"CART_EMPTY": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil)
		c.call(spillwayv1connect.CartServiceEmptyCartProcedure, "{}")
		return c.order(`[{"sku":"A","quantity":1}]`, "[]")
	},
	"SALE_NOT_STARTED": func(t *testing.T, s *refusingShop) string {
		return s.withCheckout(t, func(c *Checkout) { c.Prices = stubSale{start: time.Now().Add(time.Hour)} }).order()
	},
	"PRODUCT_ARCHIVED": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil)
		c.create("OLD", `,"archived":true`)
		return c.call(spillwayv1connect.CartServiceAddItemProcedure, `{"sku":"OLD","quantity":1}`)
	},
	"ORDER_CANCELLED": func(t *testing.T, s *refusingShop) string {
		c, id := s.serve(t, nil), s.place(t, s.key(), "").GetId()
		c.call(spillwayv1connect.OrderServiceCancelOrderProcedure, idBody(id))
		return c.pay(id)
	},
	"ORDER_EXPIRED": func(t *testing.T, s *refusingShop) string {
		id := s.place(t, s.key(), "").GetId()
		return s.withCheckout(t, func(c *Checkout) { c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } }).pay(id)
	},
	"ORDER_SHIPPED": func(t *testing.T, s *refusingShop) string {
		id := s.paid(t)
		s.ship(t, id)
		return s.serve(t, nil).call(spillwayv1connect.OrderServiceCancelOrderProcedure, idBody(id))
	},
	"ORDER_NOT_PAID": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).refund(s.place(t, s.key(), "").GetId(), refund12)
	},
	"REFUND_TOO_LARGE": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).refund(s.paid(t), strings.Replace(refund12, "12", "13", 1))
	},
	"CANCEL_INSTEAD": func(t *testing.T, s *refusingShop) string { return s.serve(t, nil).refund(s.paid(t), "") },
	"NOTHING_TO_REFUND": func(t *testing.T, s *refusingShop) string {
		c, id := s.serve(t, nil), s.paid(t)
		s.ship(t, id)
		c.refund(id, "")
		return c.refund(id, refund12)
	},
	"DEAD_LETTER_CLOSED": func(t *testing.T, s *refusingShop) string {
		c, letter := s.serve(t, nil), s.deadLetter(t)
		c.operate(discardLetter, letter+"}")
		return c.operate(replayLetter, strings.Replace(letter, `,"reason":"r"`, "", 1)+"}")
	},
	"DEAD_LETTER_EDITED": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).operate(replayLetter, strings.Replace(s.deadLetter(t), `,"reason":"r"`, "", 1)+"}")
	},
	"AUDIT_TOO_LONG": func(t *testing.T, s *refusingShop) string {
		a := NewAudit(func(ctx context.Context, _ audit.Options) (audit.Report, error) {
			<-ctx.Done()
			return audit.Report{}, ctx.Err()
		})
		a.timeout = time.Millisecond
		return s.serve(t, func(v *Services) { v.Audit = a }).operate(spillwayv1connect.AuditServiceRunAuditProcedure, "{}")
	},

	"OVERLOADED": fails(fmt.Errorf("too many commits: %w", order.ErrOverloaded)),
	"LIMIT_EXCEEDED": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil, func(cfg *Config) { cfg.Sessions.PerMinute = 1 })
		c.call(startSession, "{}")
		return c.call(startSession, "{}")
	},
	"TOO_MANY_CALLS": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, nil, func(cfg *Config) {
			cfg.Admission = NewAdmission(AdmissionConfig{Limits: map[Class]int{ClassBrowse: 0}})
		})
		return c.call(spillwayv1connect.CartServiceGetCartProcedure, "{}")
	},
	"TOO_MANY_WATCHERS": func(t *testing.T, s *refusingShop) string {
		return s.watch(t, false, func(c *HubConfig) { c.Watchers = 0 })
	},
	"JOURNAL_FULL": func(t *testing.T, s *refusingShop) string {
		s.place(t, s.key(), goodCard)
		return s.withCheckout(t, func(c *Checkout) { c.Stock = s.fullStock() }).order()
	},
	"RESERVE_SOLD_OUT": func(t *testing.T, s *refusingShop) string {
		return s.withCheckout(t, func(c *Checkout) { c.Stock = stubSoldReserve{c.Stock} }).order()
	},
	"SEARCH_TOO_SLOW": func(t *testing.T, s *refusingShop) string {
		c := s.serve(t, func(v *Services) { v.Catalog = Catalog{Products: stubSlowSearches{}} })
		return c.call(spillwayv1connect.CatalogServiceSearchProductsProcedure, `{"query":"a"}`)
	},
	"AUDIT_RUNNING": func(t *testing.T, s *refusingShop) string {
		a := NewAudit(nil)
		a.places <- struct{}{}
		return s.serve(t, func(v *Services) { v.Audit = a }).operate(spillwayv1connect.AuditServiceRunAuditProcedure, "{}")
	},
	"UNAVAILABLE": fails(fmt.Errorf("dial redis: %w", order.ErrUnavailable)),
	"RATES_TOO_OLD": func(t *testing.T, s *refusingShop) string {
		return s.withCheckout(t, func(c *Checkout) { c.Rates = stubOldRates{} }).order("EUR", "USD")
	},
	"NOT_DURABLE_YET": func(t *testing.T, s *refusingShop) string {
		return s.withCheckout(t, func(c *Checkout) { c.Durable = stubNeverDurable{} }).order()
	},
	"ORDER_BEING_SHIPPED": func(t *testing.T, s *refusingShop) string {
		id := s.paid(t)
		if _, err := s.orders.ClaimShipping(t.Context(), []order.ID{order.ID(id)}, time.Minute); err != nil {
			t.Fatal(err)
		}
		return s.serve(t, nil).call(spillwayv1connect.OrderServiceCancelOrderProcedure, idBody(id))
	},
	"SERVER_STOPPING": func(t *testing.T, s *refusingShop) string { return s.watch(t, true, func(*HubConfig) {}) },
	"STREAM_EXPIRED": func(t *testing.T, s *refusingShop) string {
		return s.watch(t, false, func(c *HubConfig) { c.Lifetime = 200 * time.Millisecond })
	},
	"SLOW_READER": func(t *testing.T, s *refusingShop) string {
		return s.watch(t, false, func(c *HubConfig) { c.SlowSend = 0 })
	},
	"REJECTED": fails(fmt.Errorf("the carrier: %w", order.ErrRejected)),
	"DEADLINE_EXCEEDED": func(t *testing.T, s *refusingShop) string {
		return s.serve(t, nil).call(spillwayv1connect.CartServiceGetCartProcedure, "{}", "Connect-Timeout-Ms", "3")
	},
	"CANCELED": fails(fmt.Errorf("a call: %w", context.Canceled)),
	"INTERNAL": fails(errUnforeseen),
}

// create creates a product as an operator.
func (c caller) create(sku, more string) string {
	c.t.Helper()
	return c.operate(spillwayv1connect.CatalogServiceCreateProductProcedure,
		fmt.Sprintf(`{"product":{"sku":%q,"name":"n","price":{"currencyCode":"EUR","units":"1"}%s},"initialStock":"1"}`, sku, more))
}
