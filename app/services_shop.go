package app

import (
	"context"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// buildShop makes the catalogue, the carts and the checkout.
func (b *builder) buildShop() {
	deps, local := b.deps, b.needs.local
	namespace, hot := b.cfg.Redis.Namespace, deps.policies[breaker.Redis]
	if local[serviceCatalog] {
		b.cache = catalog.NewCache(namespace, deps.redis.Client(), hot, store.NewProducts(deps.db), deps.log)
		browsing := b.cache.Browsing(store.NewProducts(deps.db.Reads()))
		b.prices, b.products = priceList{b.cache}, browsing
		b.shown = catalog.NewAvailable(deps.stock)
		b.services.Catalog = server.Catalog{
			Products: catalog.NewListing(store.NewProducts(deps.db.Reads())), Cache: browsing, Available: b.shown, Rates: b.rates,
			Adjuster: server.Adjustments{Counters: deps.stock, Store: store.NewStock(deps.db), Available: deps.stock, InSQL: sqlWaiter{deps}.inSQL},
		}
	}
	if local[serviceCart] {
		carts := cart.New(namespace, deps.redis.Client(), hot)
		b.contents = carts
		b.services.Cart = server.Cart{Carts: carts, Products: b.products, Available: b.shown, Rates: b.rates, Guests: carts, Tokens: b.tokens}
	}
	if local[serviceCheckout] {
		b.services.Checkout = &server.Checkout{
			Prices: b.prices, Carts: b.contents, Rates: b.rates, Payments: server.TracePayments(b.checkouts.Payments(b.payments)),
			Stock: b.reserver(), Shipping: b.quotes, Orders: b.rows, Cancellations: store.NewCancellations(deps.db),
			Durable: deps.durable(), Reader: b.changing(), Log: deps.log, Partition: partition,
			Paying: server.NewChargeSlots(b.cfg.Redis.maxCharges()), Declines: b.cfg.Orders.declines(b.events, deps.log),
			PayWithin: b.cfg.Orders.PayWithin, Now: time.Now,
		}
	}
}

// reserver is the stock, measured and traced.
func (b *builder) reserver() server.Reserver {
	return server.TraceReserver(b.checkouts.Reserver(b.deps.stock))
}

// changing reads orders over the connections of checkouts.
func (b *builder) changing() server.OrderReader {
	return server.OrderReader{Hot: b.deps.stock, Rows: b.rows, Claims: store.NewGuestClaims(b.deps.db), Log: b.deps.log}
}

// buildOrders makes the OrderService and those for operators.
func (b *builder) buildOrders() {
	deps, local := b.deps, b.needs.local
	if local[serviceOrder] {
		b.hub = server.NewHub(server.DefaultHubConfig(), journal.NewTail(deps.journal, deps.epochs), deps.stock, b.read, deps.log)
		b.services.Order = server.Orders{
			Reader:   server.OrderReader{Hot: deps.stock, Rows: b.read, Claims: store.NewGuestClaims(deps.db.Reads()), Log: deps.log},
			Changing: b.changing(), Hub: b.hub, Claims: store.NewGuestClaims(deps.db), Guests: deps.stock, Tokens: b.tokens,
			Canceller: &server.Canceller{
				Stock: b.reserver(), Store: store.NewCancellations(deps.db), Payments: b.payments, Changes: deps.changes,
				Durable: deps.durable(), Log: deps.log, Now: time.Now,
			},
			Ledger: store.NewLedgerReader(deps.db.Reads()), Facts: b.read, Refunder: &server.Refunder{
				Ledger: b.ledger, Payments: payment.Client{Service: b.payments.Service, Policy: deps.policies[breaker.Refund]}, Log: deps.log, Now: time.Now,
			},
		}
	}
	if local[serviceDeadLetters] {
		b.services.DeadLetters = deadLetters(deps, b.api)
	}
	if local[serviceAudit] {
		b.services.Audit = server.NewAudit(newAudit(deps, b.audited)).WithBooks(store.NewAudits(deps.db))
	}
}

// deadLetters is the operators' service; the replayer does what the workers do, in the process that is asked.
func deadLetters(deps *dependencies, a *api) server.DeadLetters {
	letters := store.NewDeadLetters(deps.db)
	return server.DeadLetters{Store: letters, Replayer: workers.NewReplayer(workers.ReplayParts{
		DeadLetters: letters, Entries: store.NewStock(deps.db), Orders: store.NewOrders(deps.db), Hot: deps.stock, Counters: deps.stock,
		Snapshots: deps.snapshots(),
		Cancel:    workers.NewDuplicateCanceller(deps.stock, a.payments), Mail: a.mail, Log: deps.log,
	})}
}

// newAudit audits the database, and once drained the Redis of this process; and the provider, if it can be.
func newAudit(deps *dependencies, provider audit.Provider) func(context.Context, audit.Options) (audit.Report, error) {
	audits, counters := store.NewAudits(deps.db), redisCounters{deps.redis, deps.keys}
	return func(ctx context.Context, o audit.Options) (audit.Report, error) {
		o.Counters, o.Provider = counters, provider
		return audit.Run(ctx, audits, o)
	}
}
