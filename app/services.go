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
	"github.com/spillway/spillway/gateway"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// api is the services of one process. Within it they call each other directly, by the interfaces that a client would use.
type api struct {
	services server.Services
	payments gateway.Payments
	ledger   *store.Charges
	shipping gateway.Shipments
	hub      *server.Hub
	rates    *currency.Live
	// carrier is who takes parcels, for all workers of the process together.
	carrier *workers.Gate
	mail    gateway.Mails
	// audited is the provider as the audit asks it; nil when it cannot be compared with the ledger.
	audited audit.Provider
}

func newAPI(p *parts, c Config, tokens *auth.Tokens) (*api, error) {
	redis, out := c.Redis, c.External
	sqlDurable, payWithin := p.flush.WithOrders, c.Orders.PayWithin
	rates, err := out.Rates.load(p.log)
	if err != nil {
		return nil, err
	}
	email, err := newEmail(p, out.Mail, c.SQL.DataDir)
	if err != nil {
		return nil, err
	}
	rows, products := store.NewOrders(p.db), store.NewProducts(p.db)
	read := store.NewOrders(p.db.Reads()) // as customers read them
	ledger := store.NewCharges(p.db)
	p.closers = append(p.closers, func() error { ledger.Close(); return nil })
	cache := catalog.NewCache(redis.Namespace, p.redis.Client(), p.policies[breaker.Redis], products, p.log)
	browsing := cache.Browsing(store.NewProducts(p.db.Reads()))
	carts := cart.New(redis.Namespace, p.redis.Client(), p.policies[breaker.Redis])
	reader := server.OrderReader{Hot: p.stock, Rows: read, Log: p.log}
	changing := server.OrderReader{Hot: p.stock, Rows: rows, Log: p.log} // over the connections of checkouts

	shipping := server.Shipping{Carrier: out.Carrier.carrier(), Rates: rates, Shipments: rows, Reader: reader}
	provider, err := out.Provider.open()
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, provider.Close)
	payment := &server.Payment{Provider: provider, Ledger: ledger, Now: time.Now}
	charging := gateway.NewCharging(p.policies[breaker.Charges], payment)
	p.closers = append(p.closers, charging.Close)
	a := &api{
		ledger:   ledger,
		audited:  auditedProvider(out.Provider.File, provider),
		rates:    rates,
		payments: gateway.Payments{Client: payment, Policy: p.policies[breaker.Payment], Charging: charging},
		shipping: gateway.Shipments{Client: shipping, Policy: p.policies[breaker.Shipping]},
		carrier:  workers.NewGate(workers.DefaultShippingConfig().Concurrency, gateway.Shipments{Client: shipping, Policy: p.policies[breaker.Handover]}),
		mail:     gateway.Mails{Client: email, Policy: p.policies[breaker.Mail]},
	}
	charges := maxCharges
	if redis.embedded() {
		charges = embeddedMaxCharges
	}
	checkout := &server.Checkout{
		Prices: priceList{cache}, Carts: carts, Rates: rates, Shipping: a.shipping, Payments: a.payments, Stock: p.stock,
		Orders: rows, Durable: durability{p: p, sql: sqlDurable}, Reader: changing, Log: p.log, Partition: partition,
		Paying: server.NewChargeSlots(charges), PayWithin: payWithin, Now: time.Now,
	}
	a.hub = server.NewHub(server.DefaultHubConfig(), journal.NewTail(p.journal, p.epochs), p.stock, read, p.log)
	a.services = server.Services{
		Session: server.Session{Tokens: tokens},
		Catalog: server.Catalog{Products: store.NewProducts(p.db.Reads()), Cache: browsing, Available: p.stock, Rates: rates, Adjuster: server.Adjustments{
			Counters: p.stock, Store: store.NewStock(p.db), Available: p.stock, InSQL: durability{p: p, sql: true}.inSQL,
		}},
		Cart:     server.Cart{Carts: carts, Products: browsing},
		Currency: server.Currency{Rates: rates},
		Checkout: checkout,
		Order: server.Orders{Reader: reader, Changing: changing, Hub: a.hub, Canceller: &server.Canceller{
			Stock: p.stock, Store: store.NewCancellations(p.db), Payments: a.payments, Changes: p.changes,
			Durable: durability{p: p, sql: sqlDurable}, Log: p.log, Now: time.Now,
		}, Refunder: &server.Refunder{
			Ledger: ledger, Payments: gateway.Payments{Client: payment, Policy: p.policies[breaker.Refund]}, Log: p.log, Now: time.Now,
		}},
		Shipping: shipping,
		Audit:    server.NewAudit(newAudit(p, a.audited)),
	}
	a.services.DeadLetters = deadLetters(p, a)
	return a, nil
}

// deadLetters is the operators' service; the replayer does what the workers do, in the process that is asked.
func deadLetters(p *parts, a *api) server.DeadLetters {
	letters := store.NewDeadLetters(p.db)
	return server.DeadLetters{Store: letters, Replayer: workers.NewReplayer(workers.ReplayParts{
		Letters: letters, Entries: store.NewStock(p.db), Orders: store.NewOrders(p.db), Hot: p.stock, Counters: p.stock,
		Cancel: workers.NewDuplicates(p.stock, a.payments), Mail: a.mail, Log: p.log,
	})}
}

// newAudit audits the database, and once drained the Redis of this process; and the provider, if it can be.
func newAudit(p *parts, provider audit.Provider) func(context.Context, audit.Options) (audit.Report, error) {
	audits, counters := store.NewAudits(p.db), redisCounters{p.redis, p.keys}
	return func(ctx context.Context, o audit.Options) (audit.Report, error) {
		o.Counters, o.Provider = counters, provider
		return audit.Run(ctx, audits, o)
	}
}

// newEmail makes the EmailService. Without an SMTP server its mails go to a folder.
func newEmail(p *parts, cfg MailConfig, dataDir string) (server.Email, error) {
	letters, err := gateway.NewLetters(cfg.From)
	if err != nil {
		return server.Email{}, err
	}
	e := server.Email{Book: store.NewMails(p.db), Letters: letters}
	if cfg.SMTPHost == "" {
		e.Mailer = gateway.Folder{Path: filepath.Join(dataDir, "mail"), Log: p.log}
		return e, nil
	}
	e.Mailer, err = gateway.NewSMTP(cfg.smtp())
	return e, err
}

// priceList reads names and prices from the cache.
type priceList struct{ cache *catalog.Cache }

// Prices answers for all of the SKUs.
func (l priceList) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]server.ProductPrice, error) {
	out := make(map[order.SKU]server.ProductPrice, len(skus))
	for _, sku := range skus {
		p, err := l.cache.Get(ctx, sku)
		if err != nil {
			return nil, err
		}
		out[sku] = server.ProductPrice{Name: p.Name, Price: p.Price, Archived: p.Archived, MaxPerCustomer: p.MaxPerCustomer}
	}
	return out, nil
}

// durability waits for SQL, if that is the setting. The journal is as durable as Redis once the script has answered.
type durability struct {
	p   *parts
	sql bool
}

// pollSQL is the pause between two looks at SQL's place. The flusher in this process is quicker to tell; the look is for one
// that runs elsewhere.
const pollSQL = 50 * time.Millisecond

// Wait returns when the place is durable.
func (d durability) Wait(ctx context.Context, place journal.Offset, id order.ID) error {
	if !d.sql {
		return nil
	}
	return d.p.progress.Wait(ctx, place, id)
}

// inSQL returns when SQL includes the place, whichever process flushes.
func (d durability) inSQL(ctx context.Context, place journal.Offset) error {
	st := store.NewStock(d.p.db)
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
		wait, cancel := context.WithTimeout(ctx, pollSQL)
		err = d.p.progress.Wait(wait, place, "")
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
