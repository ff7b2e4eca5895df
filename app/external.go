package app

import (
	"errors"
	"fmt"
	"net/mail"
	"os"
	"strings"
	"time"

	shopmail "github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/payment/simulated"
	carriers "github.com/spillway/spillway/shipping/simulated"
)

// ExternalConfig locates the external services: the mail server, the payment provider, the carrier and the exchange rates.
type ExternalConfig struct {
	Mail     MailConfig
	Rates    RatesConfig
	Provider ProviderConfig
	Carrier  CarrierConfig
	// Outages is a file with the modes of the simulated provider and carrier, which is read again when it changes; empty: they keep theirs.
	Outages string
}

// MailConfig locates the mail server.
type MailConfig struct {
	SMTPHost     string // server that takes mails, by SMTP with STARTTLS; empty: mails go to an mbox file in the data directory
	SMTPPort     int
	SMTPUsername string // empty: no authentication
	SMTPPassword string
	SMTPPlain    bool   // without TLS and authentication
	From         string // address that mails are from
	Concurrency  int    // mails that are sent at once: connections to the server
	// RecipientLimit is how many mails an address gets within an hour, from all processes; 0: no limit.
	RecipientLimit int
	// Yield is how long mails wait at most while the process has more urgent work; 0: they never do.
	Yield time.Duration
}

// ProviderConfig configures the simulated payment provider.
type ProviderConfig struct {
	File string        // where it keeps what it took, shared by processes; empty: in memory
	Flap time.Duration // it is up for so long, then down for so long; 0: always up
}

// CarrierConfig configures the simulated carrier.
type CarrierConfig struct {
	Mode    string        // ok, slow, down, silent or late
	File    string        // where it keeps its parcels, shared by processes; empty: in memory
	Latency time.Duration // of each call
}

// smtpTimeout bounds the sending of one mail. It is less than half of the mail policy's 20 s, so that a call sends several mails one after the
// other on each connection, and the error names the SMTP step that failed.
const smtpTimeout = 8 * time.Second

func (c MailConfig) smtp() shopmail.SMTPConfig {
	return shopmail.SMTPConfig{
		Host: c.SMTPHost, Port: c.SMTPPort, Username: c.SMTPUsername, Password: c.SMTPPassword, Plain: c.SMTPPlain, Timeout: smtpTimeout,
		Hello: c.hello(), Connections: c.Concurrency,
	}
}

// hello is the host's full name, or the domain that mails are from: in a container a host's name is no domain.
func (c MailConfig) hello() string {
	if host, err := os.Hostname(); err == nil && strings.Contains(host, ".") {
		return host
	}
	if from, err := mail.ParseAddress(c.From); err == nil {
		return from.Address[strings.LastIndex(from.Address, "@")+1:]
	}
	return ""
}

func (c MailConfig) validate() error {
	var errs []error
	if c.RecipientLimit < 0 {
		errs = append(errs, fmt.Errorf("--mail-recipient-limit %d: must not be negative", c.RecipientLimit))
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		errs = append(errs, fmt.Errorf("--mail-from %q: must be an address, such as 'Shop <orders@shop.example>'", c.From))
	}
	if c.Concurrency < 1 {
		errs = append(errs, fmt.Errorf("--mail-concurrency %d: must be at least 1", c.Concurrency))
	}
	if c.Yield < 0 {
		errs = append(errs, fmt.Errorf("--mail-yield %s: must not be negative", c.Yield))
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
	return errors.Join(errs...)
}

// validate reports every mistake at once, without the password.
func (c ExternalConfig) validate() error {
	errs := []error{c.Rates.validate(), c.Mail.validate()}
	if c.Carrier.Latency < 0 {
		errs = append(errs, fmt.Errorf("--carrier-latency %s: must not be negative", c.Carrier.Latency))
	}
	if c.Provider.Flap < 0 {
		errs = append(errs, fmt.Errorf("--simulate-provider-flap %s: must not be negative", c.Provider.Flap))
	}
	return errors.Join(errs...)
}

// open opens the simulated provider; there is no other yet.
func (c ProviderConfig) open() (*simulated.Provider, error) {
	p := simulated.New()
	if c.File != "" {
		err := createPrivate(c.File)
		if err == nil {
			p, err = simulated.Open(c.File)
		}
		if err != nil {
			return nil, fmt.Errorf("--simulate-provider-file: %w", err)
		}
	}
	p.FlapEvery(c.Flap)
	return p, nil
}

// open opens the simulated carrier; there is no other yet.
func (c CarrierConfig) open() (*carriers.Carrier, error) {
	out := &carriers.Carrier{Latency: c.Latency}
	out.SetMode(carriers.Mode(c.Mode))
	if c.File == "" {
		return out, nil
	}
	err := createPrivate(c.File)
	if err == nil {
		err = out.Open(c.File)
	}
	if err != nil {
		return nil, fmt.Errorf("--simulate-carrier-file: %w", err)
	}
	return out, nil
}
