package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// buildRates makes the CurrencyService.
func (b *builder) buildRates() error {
	if !b.needs.local[serviceCurrency] {
		return nil
	}
	rates, err := b.cfg.External.Rates.load(b.deps.log)
	if err != nil {
		return err
	}
	b.rates = rates
	b.services.Currency = server.Currency{Rates: rates}
	return nil
}

// buildMail makes the EmailService.
func (b *builder) buildMail() (err error) {
	b.mail = mail.Client{Policy: b.deps.policies[breaker.Mail]}
	if !b.needs.local[serviceEmail] {
		return nil
	}
	if b.mails, err = newMail(b.deps, b.cfg.External.Mail, b.cfg.SQL.DataDir); err != nil {
		return err
	}
	b.mail.Service, b.mail.Local = b.mails, b.mails
	return nil
}

// buildPayment makes the PaymentService, and opens its provider, also for an audit in this process that compares the provider with the ledger.
func (b *builder) buildPayment() error {
	policies := b.deps.policies
	b.payments = payment.Client{Policy: policies[breaker.Payment], Ledger: policies[breaker.Ledger]}
	local := b.needs.local[servicePayment]
	if !local && (b.cfg.External.Provider.File == "" || !b.audits()) {
		return nil
	}
	provider, err := opened(b.deps, b.cfg.External.Provider.open)
	if err != nil {
		return err
	}
	b.audited = auditedProvider(b.cfg.External.Provider.File, provider)
	if !local {
		return nil
	}
	b.outages.provider = provider
	b.money = &payment.Service{Provider: server.OutsideLimits(provider), Ledger: b.ledger, Now: time.Now}
	b.payments.Service, b.payments.Local = b.money, b.money
	b.guardCharges()
	return nil
}

// audits reports whether the process audits the shop.
func (b *builder) audits() bool {
	return b.needs.local[serviceAudit] || b.cfg.works() && b.cfg.Audit.Interval > 0
}

// guardCharges makes the guard of the charges that the process requests.
func (b *builder) guardCharges() {
	b.payments.Charging = payment.NewCharging(b.deps.policies[breaker.Charges], b.payments.Service)
	b.deps.closers = append(b.deps.closers, b.payments.Charging.Close)
}

// buildShipping makes the ShippingService. A process without Redis shows shipments by the rows of their orders, which exist before a shipment does.
func (b *builder) buildShipping() error {
	if !b.needs.local[serviceShipping] {
		return nil
	}
	carrier, err := opened(b.deps, b.cfg.External.Carrier.open)
	if err != nil {
		return err
	}
	b.outages.carrier = carrier
	reader := server.OrderReader{Hot: noHotOrders{}, Rows: b.read, Log: b.deps.log}
	if b.deps.stock != nil {
		reader.Hot = b.deps.stock
	}
	b.parcels = &shipping.Service{Carrier: carrier, Rates: b.rates, Shipments: b.rows, Orders: reader}
	b.services.Shipping = b.parcels
	b.quotes = shipping.Local{Service: *b.parcels, Policy: b.deps.policies[breaker.Shipping]}
	b.carrier = workers.NewCarrierLimiter(workers.DefaultShippingConfig().Concurrency,
		shipping.Client{Service: b.parcels, Policy: b.deps.policies[breaker.Handover]})
	return nil
}

// noHotOrders is the cache of a process without Redis.
type noHotOrders struct{}

// HotOrder returns order.ErrNotFound.
func (noHotOrders) HotOrder(context.Context, order.ID) (stock.HotOrder, error) {
	return stock.HotOrder{}, order.ErrNotFound
}

// States returns none.
func (noHotOrders) States(context.Context, []order.ID) (map[order.ID]order.State, error) {
	return nil, nil //nolint:nilnil // There are none.
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
		mbox := mail.NewMbox(filepath.Join(dataDir, mailDir), deps.log)
		deps.closers = append(deps.closers, mbox.Close)
		return mail.NewService(sent, mbox, messages).WithRecipientLimit(cfg.RecipientLimit).WithMetrics(metrics), nil
	}
	smtp, err := mail.NewSMTP(cfg.smtp())
	if err != nil {
		return nil, err
	}
	deps.closers = append(deps.closers, func() error { smtp.Close(); return nil })
	return mail.NewService(sent, smtp, messages).WithRecipientLimit(cfg.RecipientLimit).WithMetrics(metrics), nil
}

// opened opens an external service, which is closed with the dependencies.
func opened[T interface{ Close() error }](deps *dependencies, open func() (T, error)) (T, error) {
	service, err := open()
	if err == nil {
		deps.closers = append(deps.closers, service.Close)
	}
	return service, err
}
