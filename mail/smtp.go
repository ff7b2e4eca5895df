package mail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/spillway/spillway/order"
)

// SMTPConfig configures the connection to an SMTP server.
type SMTPConfig struct {
	// Host is the server's name or IP address.
	Host string
	// Port is the server's port with STARTTLS, usually 587.
	Port int
	// Username and Password are for SMTP authentication. An empty Username means none.
	Username, Password string
	// Plain sends without TLS and without authentication, for a relay on the same machine.
	Plain bool
	// Hello is the domain in the EHLO command. If empty, it is the host's name, which strict servers refuse if it has no dot.
	Hello string
	// Timeout bounds the sending of one mail, with connecting if there is no open connection. A mail is not tried if ctx ends sooner, so that
	// it should be less than half of the timeout of the mail policy.
	Timeout time.Duration
	// Connections is the maximum number of open connections, and of mails that are sent at once.
	Connections int
}

const (
	// maxMailsPerConnection is after how many mails a connection is closed. Servers commonly refuse more, and balancers in front of several
	// servers need new connections to spread the load.
	maxMailsPerConnection = 100
	// maxIdleConnection is after how much time without a mail a connection is closed: before common servers close it, Postfix under load after
	// 10 s.
	maxIdleConnection = 5 * time.Second
	// quitTimeout bounds QUIT. The connection is closed even if the server does not respond.
	quitTimeout = time.Second
)

// maxSMTPConnections bounds SMTPConfig.Connections: servers accept 10 to 50 connections of one client.
const maxSMTPConnections = 100

// minPermanentCode is the lowest SMTP reply code of a permanent failure, which no retry changes.
const minPermanentCode = 500

// smtpsPort is the port of SMTP over implicit TLS, which is not supported.
const smtpsPort = 465

// Validate returns all mistakes of the configuration as one joined error, each with order.ErrInvalid.
func (c SMTPConfig) Validate() error {
	var errs []error
	if c.Host == "" {
		errs = append(errs, fmt.Errorf("smtp host: must not be empty: %w", order.ErrInvalid))
	}
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("smtp port %d: must be 1 to 65535, usually 587: %w", c.Port, order.ErrInvalid))
	}
	if c.Port == smtpsPort {
		errs = append(errs, fmt.Errorf("smtp port %d is for implicit TLS: use the port with STARTTLS, usually 587: %w", c.Port, order.ErrInvalid))
	}
	if c.Plain && c.Username != "" {
		errs = append(errs, fmt.Errorf("smtp: a password is not sent without TLS: omit the username or use TLS: %w", order.ErrInvalid))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("smtp timeout %s: must be positive: %w", c.Timeout, order.ErrInvalid))
	}
	if c.Connections < 1 || c.Connections > maxSMTPConnections {
		errs = append(errs, fmt.Errorf("smtp connections %d: must be 1 to %d: %w", c.Connections, maxSMTPConnections, order.ErrInvalid))
	}
	return errors.Join(errs...)
}

// SMTP is a Sender that delivers mails to an SMTP server over at most SMTPConfig.Connections connections, which it reuses. go-mail connects,
// with STARTTLS and the strongest authentication that the server offers; SMTP itself holds the connections, because go-mail has no pool and sends
// two more commands for each mail. It is safe for concurrent use.
type SMTP struct {
	host    string
	timeout time.Duration
	options []gomail.Option
	// slots has one element for each connection in use.
	slots chan struct{}
	idle  idleSessions
}

// NewSMTP returns a Sender for the server. It validates the configuration and opens no connection.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &SMTP{host: cfg.Host, timeout: cfg.Timeout, slots: make(chan struct{}, cfg.Connections), options: []gomail.Option{
		gomail.WithPort(cfg.Port), gomail.WithTimeout(cfg.Timeout), gomail.WithTLSPolicy(gomail.TLSMandatory),
	}}
	if cfg.Hello != "" {
		s.options = append(s.options, gomail.WithHELO(cfg.Hello))
	}
	if cfg.Plain {
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if cfg.Username != "" {
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(cfg.Username), gomail.WithPassword(cfg.Password))
	}
	if _, err := gomail.NewClient(s.host, s.options...); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	return s, nil
}

// Close closes the idle connections. Later mails get a connection each, which is closed after them.
func (s *SMTP) Close() { s.idle.close() }

// errNotTried is the result of a mail for which the time of the call did not suffice.
var errNotTried = fmt.Errorf("mail not tried: no time left: %w", order.ErrOverloaded)

// Send delivers the mails to the server, several at once. It returns order.ErrInvalid for a mail whose recipient the server refuses
// permanently, so that wrong addresses do not open the breaker, and order.ErrUnavailable for other failures, including a refused sender. If
// it cannot connect, it fails the mail and the remaining ones with order.ErrNotSent as well, because the server got none of them. Send does
// not retry, except that a mail that was certainly not accepted on a reused connection is sent on a new one.
func (s *SMTP) Send(ctx context.Context, mails []Message) []error {
	d := &delivery{smtp: s, mails: mails, errs: failAll(len(mails), errNotTried)}
	var wg sync.WaitGroup
	for range min(len(mails), cap(s.slots)) {
		wg.Go(func() { d.run(ctx) })
	}
	wg.Wait()
	return d.results()
}

// delivery is one call of Send. Each of its goroutines has a connection and takes one mail after the other.
type delivery struct {
	smtp  *SMTP
	mails []Message
	errs  []error
	next  atomic.Int64
	// down is the error of the first connection that could not be opened.
	down atomic.Pointer[error]
}

// run sends mails over one connection until none is left, the time does not suffice, or the server is down.
func (d *delivery) run(ctx context.Context) {
	select {
	case d.smtp.slots <- struct{}{}:
		defer func() { <-d.smtp.slots }()
	case <-ctx.Done():
		return
	}
	session := d.smtp.idle.take()
	defer func() { d.smtp.idle.put(session) }()
	for d.down.Load() == nil && hasTime(ctx, d.smtp.timeout) {
		i := int(d.next.Add(1)) - 1
		if i >= len(d.mails) {
			return
		}
		session, d.errs[i] = d.send(ctx, session, d.mails[i])
	}
}

// hasTime reports whether ctx has not ended and ends after the time at the earliest.
func hasTime(ctx context.Context, needed time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) >= needed)
}

// send sends a mail over the session, or over a new one if the session is nil or turns out to be closed. It returns the session to go on
// with, or nil. A mail that has begun is not cut off when the caller leaves: the server may accept it, and it would be sent a second time.
func (d *delivery) send(ctx context.Context, session *smtpSession, mail Message) (*smtpSession, error) {
	ctx, cancel := context.WithTimeout(ctx, d.smtp.timeout)
	defer cancel()
	begun, end := context.WithTimeout(context.WithoutCancel(ctx), d.smtp.timeout)
	defer end()
	if session != nil {
		next, err := session.sendOne(begun, mail)
		if next != nil || err == nil || !isNotAccepted(err) || ctx.Err() != nil {
			return next, sendFailed(begun, mail.Name, err)
		}
	}
	session, err := d.smtp.connect(ctx)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, sendFailed(ctx, mail.Name, err)
		}
		err = fmt.Errorf("connect to the SMTP server: %w: %w: %w", order.ErrNotSent, order.ErrUnavailable, err)
		d.down.CompareAndSwap(nil, &err)
		return nil, fmt.Errorf("mail %s: %w", mail.Name, err)
	}
	next, err := session.sendOne(begun, mail)
	return next, sendFailed(begun, mail.Name, err)
}

// sendOne sends a mail. It returns the session if it is still usable; otherwise it closes the session and returns nil.
func (s *smtpSession) sendOne(ctx context.Context, mail Message) (*smtpSession, error) {
	err := s.send(ctx, mail)
	if s.usable() {
		return s, err
	}
	s.close()
	return nil, err
}

// results returns the error of each mail.
func (d *delivery) results() []error {
	down := d.down.Load()
	for i := range d.errs {
		if down != nil && errors.Is(d.errs[i], errNotTried) {
			d.errs[i] = *down
		}
	}
	return d.errs
}

// sendFailed translates an error of a session and drops its text, which contains the recipient.
func sendFailed(ctx context.Context, name string, err error) error {
	var failed *sessionError
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("mail %s: %w", name, ctx.Err())
	case !errors.As(err, &failed):
		return fmt.Errorf("mail %s: not accepted by the SMTP server: %w", name, order.ErrUnavailable)
	case failed.step == stepRecipient && failed.code >= minPermanentCode:
		return fmt.Errorf("mail %s: recipient refused by the SMTP server, code %d: %w", name, failed.code, order.ErrInvalid)
	}
	return fmt.Errorf("mail %s: not accepted by the SMTP server (%s, code %d): %w", name, failed.step, failed.code, order.ErrUnavailable)
}
