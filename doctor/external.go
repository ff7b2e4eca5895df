package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spillway/spillway/currency"
)

var externalChecks = []Check{
	{"currency.rates", "The exchange rates are valid and not too old.", nil, checkRates},
	{"payment.provider", "The payment provider takes money.", nil, checkProvider},
	{"payment.defects", "No flag that simulates a defect is set.", nil, checkDefects},
	{"mail.server", "Mails go to a mail server, which greets.", nil, checkMail},
	{"mail.tls", "Mails do not travel in plain text to another machine.", nil, checkMailTLS},
	{"customers.issuer", "The outside issuer of customers' tokens (`--oidc-issuer`) is reachable, and has keys that can be used.", nil, checkIssuer},
	{"mail.from", "Mails come from an address of the shop (`--mail-from`).", nil, checkFrom},
}

const ratesFix = "put a fresh file there, such as from the European Central Bank: --rates (SPILLWAY_RATES)"

// ratesSoon is how long before the rates become too old there is a warning: a day is left to find out why no new ones come.
const ratesSoon = 24 * time.Hour

func checkRates(_ context.Context, s *session) Result {
	if s.cfg.Rates == nil {
		return unused("this process converts no prices")
	}
	live, err := currency.New(*s.cfg.Rates, slog.New(slog.DiscardHandler))
	if err != nil {
		return fail(ratesFix, "%v", err)
	}
	date, err := time.Parse(time.DateOnly, live.Date())
	if err != nil {
		return fail(ratesFix, "%v", err)
	}
	found := fmt.Sprintf("the rates are of %s (%s)", live.Date(), age(s.now().Sub(date)))
	switch expires := live.Expires(); {
	case s.cfg.Rates.File == "" && s.cfg.External.Development:
		return ok("%s, for trying it out", found)
	case s.cfg.Rates.File == "":
		return warn(ratesFix, "%s: they are those that the program brings for trying it out", found)
	case !expires.IsZero() && expires.Sub(s.now()) < ratesSoon:
		return warn(ratesFix, "%s, and are refused from %s on", found, expires.Format(time.RFC3339))
	}
	return ok("%s", found)
}

func checkProvider(_ context.Context, s *session) Result {
	e := s.cfg.External
	switch {
	case !e.Payment:
		return unused("this process calls no payment provider")
	case !e.Simulated:
		return ok("a payment provider is configured")
	case e.Development:
		return ok("the provider is simulated, and so is the shop")
	case e.Own:
		return fail("--payment-url (SPILLWAY_PAYMENT_URL) of one process with --services payment, or one --simulate-provider-file for all; and take no real orders",
			"the provider is simulated in the memory of this process: charges of other processes are unknown to it, and their refunds are never confirmed")
	case !e.Shared:
		return warn("--simulate-provider-file (SPILLWAY_SIMULATE_PROVIDER_FILE), one for all processes; and take no real orders",
			"the provider is simulated: no money is taken, and each process forgets its charges when it ends")
	}
	return warn("take no real orders: this version has no other payment provider", "the provider is simulated: no money is taken")
}

func checkDefects(_ context.Context, s *session) Result {
	if set := s.cfg.External.Defects; len(set) > 0 {
		return warn("leave them out, and their variables SPILLWAY_…", "defects are simulated, for tests: %s", strings.Join(set, ", "))
	}
	return ok("none is set")
}

const (
	smtpFix = "start the mail server, or correct its address: --smtp-host, --smtp-port (SPILLWAY_SMTP_HOST, SPILLWAY_SMTP_PORT)"
	// maxGreeting bounds the line with which a mail server begins, in bytes.
	maxGreeting = 1024
)

func checkMail(ctx context.Context, s *session) Result {
	e := s.cfg.External
	switch {
	case !e.Mail:
		return unused("this process sends no mails")
	case e.SMTPAddr == "" && e.Development:
		return ok("mails go to a file")
	case e.SMTPAddr == "":
		return warn("--smtp-host (SPILLWAY_SMTP_HOST)", "there is no mail server: mails are appended to a file")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.SMTPAddr)
	if err != nil {
		return fail(smtpFix, "%v", err)
	}
	defer conn.Close()
	if deadline, there := ctx.Deadline(); there {
		_ = conn.SetDeadline(deadline) // Without one, the check's own bound ends it.
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxGreeting)).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "220") {
		return fail(smtpFix, "%s does not greet as a mail server: %q %v", e.SMTPAddr, strings.TrimSpace(line), err)
	}
	_, _ = io.WriteString(conn, "QUIT\r\n") // The connection is closed in any case.
	return ok("%s greets", e.SMTPAddr)
}

func checkMailTLS(_ context.Context, s *session) Result {
	e := s.cfg.External
	if !e.Mail || e.SMTPAddr == "" {
		return unused("this process sends no mails to a server")
	}
	r, good := localOrTLS("the mail server", e.SMTPAddr, !e.SMTPPlain)
	if !good {
		return plainText("the mail server", e.SMTPAddr, "leave out --smtp-plain (SPILLWAY_SMTP_PLAIN): STARTTLS is used then")
	}
	return r
}

func checkFrom(_ context.Context, s *session) Result {
	e := s.cfg.External
	if !e.Mail || e.SMTPAddr == "" {
		return unused("this process sends no mails to a server")
	}
	if e.MailFrom == e.DefaultFrom {
		return warn("--mail-from 'Shop <orders@YOUR-DOMAIN>' (SPILLWAY_MAIL_FROM)", "mails come from %s, which is an example that mail servers reject", e.MailFrom)
	}
	return ok("mails come from %s", e.MailFrom)
}
