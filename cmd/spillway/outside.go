package main

import (
	"errors"
	"fmt"
	"net/mail"
	"os"
	"strings"
	"time"

	"github.com/spillway/spillway/gateway"
)

// outsideConfig says how the parties outside are reached: the mail server and the carrier.
type outsideConfig struct {
	SMTPHost     string `name:"smtp-host" env:"SPILLWAY_SMTP_HOST" group:"Mail" help:"The server that takes mails, by SMTP with STARTTLS. Without it, mails are written to the folder mail in --data-dir, as .eml files."`
	SMTPPort     int    `name:"smtp-port" env:"SPILLWAY_SMTP_PORT" group:"Mail" default:"587" help:"Its port."`
	SMTPUsername string `name:"smtp-username" env:"SPILLWAY_SMTP_USERNAME" group:"Mail" help:"User name for SMTP; none is no signing in."`
	SMTPPassword string `name:"smtp-password" env:"SPILLWAY_SMTP_PASSWORD" group:"Mail" help:"Password for SMTP; better set in the environment."`
	SMTPPlain    bool   `name:"smtp-plain" env:"SPILLWAY_SMTP_PLAIN" group:"Mail" help:"Send without TLS and without signing in: for a relay on the same machine."`
	MailFrom     string `name:"mail-from" env:"SPILLWAY_MAIL_FROM" group:"Mail" default:"Spillway <orders@spillway.example>" help:"Who mails are from."`

	Rates ratesConfig `embed:""`

	ProviderFile string        `name:"simulate-provider-file" env:"SPILLWAY_SIMULATE_PROVIDER_FILE" group:"Payment" placeholder:"PATH" help:"Where the simulated payment provider keeps what it took: processes share it, and it outlives them. Without it, each process has one of its own, which forgets when it ends."`
	ProviderFlap time.Duration `name:"simulate-provider-flap" env:"SPILLWAY_SIMULATE_PROVIDER_FLAP" group:"Payment" default:"0s" help:"The simulated payment provider is up for so long, then down for so long, by turns; 0 is always up."`

	CarrierMode    string        `name:"simulate-carrier" env:"SPILLWAY_SIMULATE_CARRIER" group:"Carrier" enum:"ok,slow,down,late" default:"ok" help:"How the simulated carrier fares: ${enum}. late takes parcels and answers after the timeout."`
	CarrierLatency time.Duration `name:"carrier-latency" env:"SPILLWAY_CARRIER_LATENCY" group:"Carrier" default:"0s" help:"How long the simulated carrier takes to answer."`
}

// smtpTimeout bounds one connection, within the mail policy's 10 s, so that the answer tells what SMTP was about.
const smtpTimeout = 8 * time.Second

func (c outsideConfig) smtp() gateway.SMTPConfig {
	return gateway.SMTPConfig{
		Host: c.SMTPHost, Port: c.SMTPPort, Username: c.SMTPUsername, Password: c.SMTPPassword, Plain: c.SMTPPlain, Timeout: smtpTimeout,
		Hello: c.hello(),
	}
}

// hello is the host's full name, or the domain that mails are from: in a container a host's name is no domain.
func (c outsideConfig) hello() string {
	if host, err := os.Hostname(); err == nil && strings.Contains(host, ".") {
		return host
	}
	if from, err := mail.ParseAddress(c.MailFrom); err == nil {
		return from.Address[strings.LastIndex(from.Address, "@")+1:]
	}
	return ""
}

// validate reports every mistake at once, without the password.
func (c outsideConfig) validate() error {
	errs := []error{c.Rates.validate()}
	if _, err := mail.ParseAddress(c.MailFrom); err != nil {
		errs = append(errs, fmt.Errorf("--mail-from %q: must be an address, such as 'Shop <orders@shop.example>'", c.MailFrom))
	}
	switch {
	case c.SMTPHost != "":
		errs = append(errs, c.smtp().Validate())
	case c.SMTPUsername != "" || c.SMTPPassword != "" || c.SMTPPlain:
		errs = append(errs, errors.New("--smtp-username, --smtp-password and --smtp-plain do nothing without --smtp-host"))
	}
	if (c.SMTPUsername == "") != (c.SMTPPassword == "") {
		errs = append(errs, errors.New("--smtp-username and --smtp-password go together"))
	}
	if c.CarrierLatency < 0 {
		errs = append(errs, fmt.Errorf("--carrier-latency %s: must not be negative", c.CarrierLatency))
	}
	if c.ProviderFlap < 0 {
		errs = append(errs, fmt.Errorf("--simulate-provider-flap %s: must not be negative", c.ProviderFlap))
	}
	return errors.Join(errs...)
}

// provider is the simulated one; there is no other yet.
func (c outsideConfig) provider() (*gateway.Simulated, error) {
	p := gateway.NewSimulated()
	if c.ProviderFile != "" {
		var err error
		if p, err = gateway.NewSimulatedIn(c.ProviderFile); err != nil {
			return nil, err
		}
	}
	p.FlapEvery(c.ProviderFlap)
	return p, nil
}

// carrier is the simulated one; there is no other yet.
func (c outsideConfig) carrier() *gateway.SimulatedCarrier {
	out := &gateway.SimulatedCarrier{Latency: c.CarrierLatency}
	out.SetMode(gateway.CarrierMode(c.CarrierMode))
	return out
}
