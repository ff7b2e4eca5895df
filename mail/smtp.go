package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
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
	// Timeout bounds one connection with all its commands. It should be less than the timeout of the mail policy.
	Timeout time.Duration
}

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
	return errors.Join(errs...)
}

// SMTP is a Sender that delivers mails to an SMTP server, each on a connection of its own. It is safe for concurrent use.
type SMTP struct {
	host    string
	options []gomail.Option
}

// NewSMTP returns a Sender for the server. It validates the configuration and opens no connection.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &SMTP{host: cfg.Host, options: []gomail.Option{
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
	_, err := s.client(context.Background())
	return s, err
}

// client returns the library's client for one mail. Its connection is closed when ctx ends: the library leaves a connection open after a
// failed handshake, and ignores the context after the handshake.
func (s *SMTP) client(ctx context.Context) (*gomail.Client, error) {
	dial := func(dialCtx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(dialCtx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		return conn, nil
	}
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), gomail.WithDialContextFunc(dial))...)
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	return client, nil
}

// Send delivers the mail to the server. It returns order.ErrInvalid if the server refuses the recipient permanently, so that wrong addresses
// do not open the breaker, and order.ErrUnavailable for other failures, including a refused sender. Send does not retry. It returns nil
// once the server has accepted the mail, even if closing the connection fails.
func (s *SMTP) Send(ctx context.Context, m *gomail.Msg, name string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("mail %s: connect to the SMTP server: %w: %w", name, order.ErrUnavailable, err)
	}
	err = client.SendWithSMTPClient(session, m)
	if m.IsDelivered() {
		_ = client.CloseWithSMTPClient(session) // The mail is delivered whether or not QUIT succeeds.
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("mail %s: %w", name, ctx.Err())
	}
	return sendError(name, err)
}

// sendError translates the library's error and drops its text, which contains the recipient.
func sendError(name string, err error) error {
	var refused *gomail.SendError
	switch {
	case !errors.As(err, &refused):
		return fmt.Errorf("mail %s: not accepted by the SMTP server: %w", name, order.ErrUnavailable)
	case refused.Reason == gomail.ErrSMTPRcptTo && refused.ErrorCode() >= minPermanentCode:
		return fmt.Errorf("mail %s: recipient refused by the SMTP server, code %d: %w", name, refused.ErrorCode(), order.ErrInvalid)
	}
	return fmt.Errorf("mail %s: not accepted by the SMTP server (%s, code %d): %w", name, refused.Reason, refused.ErrorCode(), order.ErrUnavailable)
}
