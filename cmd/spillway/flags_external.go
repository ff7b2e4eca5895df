package main

import (
	"time"

	"github.com/spillway/spillway/app"
)

// externalFlags locate the external services: the mail server, the payment provider, the carrier and the exchange rates.
type externalFlags struct {
	SMTPHost         string        `name:"smtp-host" env:"SPILLWAY_SMTP_HOST" group:"Mail" help:"The server that takes mails, by SMTP with STARTTLS. Without it, mails are appended to mail/mails.mbox in --data-dir."`
	SMTPPort         int           `name:"smtp-port" env:"SPILLWAY_SMTP_PORT" group:"Mail" default:"${smtp_port}" help:"Its port."`
	SMTPUsername     string        `name:"smtp-username" env:"SPILLWAY_SMTP_USERNAME" group:"Mail" help:"User name for SMTP; none is no signing in."`
	SMTPPassword     string        `name:"smtp-password" env:"SPILLWAY_SMTP_PASSWORD" group:"Mail" help:"Password for SMTP; better set in the environment."`
	SMTPPasswordFile string        `name:"smtp-password-file" env:"SPILLWAY_SMTP_PASSWORD_FILE" secret:"smtp-password" group:"Mail" placeholder:"PATH" help:"A file that holds it."`
	SMTPPlain        bool          `name:"smtp-plain" env:"SPILLWAY_SMTP_PLAIN" group:"Mail" help:"Send without TLS and without signing in: for a relay on the same machine."`
	MailFrom         string        `name:"mail-from" env:"SPILLWAY_MAIL_FROM" group:"Mail" default:"${mail_from}" help:"Who mails are from."`
	MailConcurrency  int           `name:"mail-concurrency" env:"SPILLWAY_MAIL_CONCURRENCY" group:"Mail" default:"${mail_limit}" help:"The most connections to the SMTP server, and so the most mails that the process sends at once."`
	RecipientLimit   int           `name:"mail-recipient-limit" env:"SPILLWAY_MAIL_RECIPIENT_LIMIT" group:"Mail" default:"${mail_recipient_limit}" help:"How many mails one address gets within an hour, from all processes together; those beyond it are recorded as skipped and never sent. 0 is no limit. Raise it for a shop with buyers who share an address."`
	MailYield        time.Duration `name:"mail-yield" env:"SPILLWAY_MAIL_YIELD" group:"Mail" default:"${mail_yield}" help:"How long mails wait at most while the process writes or ships orders; then 500 are sent before the next wait. 0 is never. A process that only sends mails never waits: fewer of them, or --mail-concurrency, limit what they take."`

	RatesFile   string         `name:"rates" env:"SPILLWAY_RATES" group:"Currency" placeholder:"FILE" help:"Exchange rates: a CSV file in the form of currency/rates.csv, which is read again when it changes. Without it, the rates of one day in 2025 are used, which are shipped with the program for trying it out."`
	RatesMaxAge *time.Duration `name:"rates-max-age" env:"SPILLWAY_RATES_MAX_AGE" group:"Currency" placeholder:"DURATION" help:"How old exchange rates may be, from 00:00 UTC of their day; older ones are refused, and only prices in the catalogue's own currency can be charged. 0 is no limit. Default: 168h with --rates, no limit without."`

	ProviderFile string        `name:"simulate-provider-file" env:"SPILLWAY_SIMULATE_PROVIDER_FILE" group:"Payment" placeholder:"PATH" help:"Where the simulated payment provider keeps what it took: processes share it, and it outlives them. Without it, each process has one of its own, which forgets when it ends."`
	ProviderFlap time.Duration `name:"simulate-provider-flap" env:"SPILLWAY_SIMULATE_PROVIDER_FLAP" group:"Payment" default:"0s" help:"The simulated payment provider is up for so long, then down for so long, by turns; 0 is always up."`

	CarrierMode    string        `name:"simulate-carrier" env:"SPILLWAY_SIMULATE_CARRIER" group:"Carrier" enum:"ok,slow,down,silent,late" default:"${carrier}" help:"How the simulated carrier fares: ${enum}. silent takes no parcels and does not respond, late takes parcels and responds after the timeout."`
	CarrierFile    string        `name:"simulate-carrier-file" env:"SPILLWAY_SIMULATE_CARRIER_FILE" group:"Carrier" placeholder:"PATH" help:"Where the simulated carrier keeps its parcels: processes share it, and it outlives them. Without it, each process has one of its own, which forgets when it ends."`
	CarrierLatency time.Duration `name:"carrier-latency" env:"SPILLWAY_CARRIER_LATENCY" group:"Carrier" default:"0s" help:"How long the simulated carrier takes to answer."`
	Outages        string        `name:"simulate-outages" env:"SPILLWAY_SIMULATE_OUTAGES" group:"Carrier" placeholder:"PATH" help:"A file with the lines 'provider MODE' (ok, slow, down, silent, unanswered, late) and 'carrier MODE' (as --simulate-carrier), which is read again when it changes: for tests only."`
}

func (f externalFlags) config() app.ExternalConfig {
	return app.ExternalConfig{
		Mail: app.MailConfig{
			SMTPHost: f.SMTPHost, SMTPPort: f.SMTPPort, SMTPUsername: f.SMTPUsername, SMTPPassword: f.SMTPPassword, SMTPPlain: f.SMTPPlain,
			From: f.MailFrom, Concurrency: f.MailConcurrency, RecipientLimit: f.RecipientLimit, Yield: f.MailYield,
		},
		Rates:    app.RatesConfig{File: f.RatesFile, MaxAge: f.RatesMaxAge},
		Provider: app.ProviderConfig{File: f.ProviderFile, Flap: f.ProviderFlap},
		Carrier:  app.CarrierConfig{Mode: f.CarrierMode, Latency: f.CarrierLatency, File: f.CarrierFile},
		Outages:  f.Outages,
	}
}
