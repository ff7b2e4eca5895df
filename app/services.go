package app

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/currency"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// api is the services of one process. Within it they call each other directly, by the interfaces that a client would use.
type api struct {
	services server.Services
	// checkouts counts what the CheckoutService does.
	checkouts *server.CheckoutMetrics
	admission *server.Admission
	payments  payment.Client
	ledger    *store.Charges
	hub       *server.Hub
	ops       *server.Ops
	rates     *currency.Live
	// carrier takes parcels, within one limit for all workers of the process together.
	carrier *workers.CarrierLimiter
	mail    mail.Client
	// audited is the provider as the audit reads it; nil when it cannot be compared with the ledger.
	audited audit.Provider
	// outages are those of the simulated provider and carrier.
	outages *outages
}

func newAPI(deps *dependencies, c Config, tokens *auth.Tokens) (*api, error) {
	redis, out := c.Redis, c.External
	durable, payWithin := deps.durable(), c.Orders.PayWithin
	rates, err := out.Rates.load(deps.log)
	if err != nil {
		return nil, err
	}
	mails, err := newMail(deps, out.Mail, c.SQL.DataDir)
	if err != nil {
		return nil, err
	}
	rows, products := store.NewOrders(deps.db), store.NewProducts(deps.db)
	read := store.NewOrders(deps.db.Reads()) // as customers read them
	ledger, reads := store.NewCharges(deps.db), store.NewLedgerReader(deps.db.Reads())
	cache := catalog.NewCache(redis.Namespace, deps.redis.Client(), deps.policies[breaker.Redis], products, deps.log)
	browsing := cache.Browsing(store.NewProducts(deps.db.Reads()))
	listing, shown := catalog.NewListing(store.NewProducts(deps.db.Reads())), catalog.NewAvailable(deps.stock)
	carts := cart.New(redis.Namespace, deps.redis.Client(), deps.policies[breaker.Redis])
	reader := server.OrderReader{Hot: deps.stock, Rows: read, Log: deps.log}
	changing := server.OrderReader{Hot: deps.stock, Rows: rows, Log: deps.log} // over the connections of checkouts

	carrier, err := opened(deps, out.Carrier.open)
	if err != nil {
		return nil, err
	}
	parcels := shipping.Service{Carrier: carrier, Rates: rates, Shipments: rows, Orders: reader}
	provider, err := opened(deps, out.Provider.open)
	if err != nil {
		return nil, err
	}
	money := &payment.Service{Provider: server.OutsideLimits(provider), Ledger: ledger, Now: time.Now}
	charging := payment.NewCharging(deps.policies[breaker.Charges], money)
	deps.closers = append(deps.closers, func() error { ledger.Close(); return nil }, charging.Close)
	a := &api{
		ledger:    ledger,
		outages:   &outages{path: out.Outages, provider: provider, carrier: carrier, log: deps.log},
		audited:   auditedProvider(out.Provider.File, provider),
		rates:     rates,
		admission: server.NewAdmission(c.HTTP.admission(redis.embedded(), deps.flush.WithOrders, deps.load)),
		payments:  payment.Client{Service: money, Local: money, Policy: deps.policies[breaker.Payment], Ledger: deps.policies[breaker.Ledger], Charging: charging},
		carrier:   workers.NewCarrierLimiter(workers.DefaultShippingConfig().Concurrency, shipping.Client{Service: parcels, Policy: deps.policies[breaker.Handover]}),
		mail:      mail.Client{Service: mails, Local: mails, Policy: deps.policies[breaker.Mail]},
	}
	if a.checkouts, err = server.NewCheckoutMetrics(); err != nil {
		return nil, err
	}
	reserver := server.TraceReserver(a.checkouts.Reserver(deps.stock))
	checkout := &server.Checkout{
		Prices: priceList{cache}, Carts: carts, Rates: rates, Payments: server.TracePayments(a.checkouts.Payments(a.payments)), Stock: reserver,
		Shipping: shipping.Local{Service: parcels, Policy: deps.policies[breaker.Shipping]}, Orders: rows,
		Durable: durable, Reader: changing, Log: deps.log, Partition: partition,
		Paying: server.NewChargeSlots(redis.maxCharges()), PayWithin: payWithin, Now: time.Now,
	}
	a.hub = server.NewHub(server.DefaultHubConfig(), journal.NewTail(deps.journal, deps.epochs), deps.stock, read, deps.log)
	a.services = server.Services{
		Session: server.Session{Tokens: tokens},
		Catalog: server.Catalog{Products: listing, Cache: browsing, Available: shown, Rates: rates, Adjuster: server.Adjustments{
			Counters: deps.stock, Store: store.NewStock(deps.db), Available: deps.stock, InSQL: sqlWaiter{deps}.inSQL,
		}},
		Cart:     server.Cart{Carts: carts, Products: browsing, Available: shown, Rates: rates},
		Currency: server.Currency{Rates: rates},
		Checkout: checkout,
		Order: server.Orders{Reader: reader, Changing: changing, Hub: a.hub, Canceller: &server.Canceller{
			Stock: reserver, Store: store.NewCancellations(deps.db), Payments: a.payments, Changes: deps.changes,
			Durable: durable, Log: deps.log, Now: time.Now,
		}, Ledger: reads, Facts: read, Refunder: &server.Refunder{
			Ledger: ledger, Payments: payment.Client{Service: money, Policy: deps.policies[breaker.Refund]}, Log: deps.log, Now: time.Now,
		}},
		Shipping: parcels,
		Audit:    server.NewAudit(newAudit(deps, a.audited)).WithBooks(store.NewAudits(deps.db)),
	}
	a.services.DeadLetters = deadLetters(deps, a)
	return a, nil
}

// opened opens an external service, which is closed with the dependencies.
func opened[T interface{ Close() error }](deps *dependencies, open func() (T, error)) (T, error) {
	service, err := open()
	if err == nil {
		deps.closers = append(deps.closers, service.Close)
	}
	return service, err
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

// newMail makes the EmailService. Without an SMTP server its mails go to an mbox file.
func newMail(deps *dependencies, cfg MailConfig, dataDir string) (*mail.Service, error) {
	messages, err := mail.NewMessages(cfg.From)
	if err != nil {
		return nil, err
	}
	metrics, err := mail.NewMetrics()
	if err != nil {
		return nil, err
	}
	sent := store.NewMails(deps.db)
	if cfg.SMTPHost == "" {
		mbox := mail.NewMbox(filepath.Join(dataDir, "mail"), deps.log)
		deps.closers = append(deps.closers, mbox.Close)
		return mail.NewService(sent, mbox, messages).WithMetrics(metrics), nil
	}
	smtp, err := mail.NewSMTP(cfg.smtp())
	if err != nil {
		return nil, err
	}
	deps.closers = append(deps.closers, func() error { smtp.Close(); return nil })
	return mail.NewService(sent, smtp, messages).WithMetrics(metrics), nil
}

// priceList reads names and prices from the cache.
type priceList struct{ cache *catalog.Cache }

// Prices returns the prices of all SKUs; one that is unknown is an error.
func (l priceList) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]server.ProductPrice, error) {
	out := make(map[order.SKU]server.ProductPrice, len(skus))
	for _, sku := range skus {
		p, err := l.cache.Get(ctx, sku)
		if err != nil {
			return nil, err
		}
		out[sku] = server.ProductPrice{Name: p.Name, Price: p.Price, Archived: p.Archived, MaxPerCustomer: p.MaxPerCustomer, SaleStartsAt: p.SaleStartsAt}
	}
	return out, nil
}

// durable waits for what the setting promises. With durability journal that is nothing: the journal is as durable as Redis once the script has
// returned.
func (deps *dependencies) durable() server.DurabilityWaiter {
	switch deps.flush.Durability {
	case store.DurabilitySQL:
		return deps.progress
	case store.DurabilityReplica:
		return journal.NewReplicated(deps.keys, deps.redis, deps.epochs)
	default:
		return noWait{}
	}
}

type noWait struct{}

// Wait returns nil.
func (noWait) Wait(context.Context, journal.Offset, order.ID) error { return nil }

// sqlWaiter waits for SQL, whichever process flushes.
type sqlWaiter struct{ deps *dependencies }

// sqlPollInterval is the time between two reads of SQL's offset. The flusher in this process signals sooner; reading is for one that runs
// elsewhere.
const sqlPollInterval = 50 * time.Millisecond

// inSQL returns when SQL includes the place.
func (d sqlWaiter) inSQL(ctx context.Context, place journal.Offset) error {
	st := store.NewStock(d.deps.db)
	if place == (journal.Offset{}) { // It was made in SQL.
		return nil
	}
	for {
		e, err := st.EpochAt(ctx, partition, place.Epoch)
		switch {
		case err != nil:
			return err
		case journal.CompareIDs(e.LastID, place.ID) >= 0:
			return nil
		case e.Closed:
			return errors.Join(journal.ErrEpochPassed, order.ErrUnavailable)
		}
		wait, cancel := context.WithTimeout(ctx, sqlPollInterval)
		err = d.deps.progress.Wait(wait, place, "")
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
