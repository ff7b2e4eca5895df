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

// SMTPConfig says which server takes mails.
type SMTPConfig struct {
	Host string
	// Port is where the server speaks SMTP and offers STARTTLS, usually 587.
	Port int
	// Username and Password sign in. Without a username nobody does.
	Username, Password string
	// Plain sends without TLS, and so without signing in: for a relay on the same machine.
	Plain bool
	// Hello is the domain by which the shop greets the server; empty is the host's name, which strict servers refuse when it has no dot.
	Hello string
	// Timeout bounds one connection, with everything that is said on it. It should be less than that of the mail policy.
	Timeout time.Duration
}

// permanentCode begins the answers of SMTP that no retry changes.
const permanentCode = 500

// smtpsPort is where servers speak TLS from the first byte.
const smtpsPort = 465

// Validate reports every mistake at once.
func (c SMTPConfig) Validate() error {
	var errs []error
	if c.Host == "" {
		errs = append(errs, fmt.Errorf("smtp host: name the server: %w", order.ErrInvalid))
	}
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("smtp port %d: must be 1 to 65535, usually 587: %w", c.Port, order.ErrInvalid))
	}
	if c.Port == smtpsPort {
		errs = append(errs, fmt.Errorf("smtp port %d begins with TLS: take the port with STARTTLS, usually 587: %w", c.Port, order.ErrInvalid))
	}
	if c.Plain && c.Username != "" {
		errs = append(errs, fmt.Errorf("smtp: a password does not travel without TLS: leave out the username or use TLS: %w", order.ErrInvalid))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("smtp timeout %s: must be more than nothing: %w", c.Timeout, order.ErrInvalid))
	}
	return errors.Join(errs...)
}

// SMTP is a Sender that hands mails to a server, each on a connection of its own.
type SMTP struct {
	host    string
	options []gomail.Option
}

// NewSMTP makes a mailer; it connects to nobody yet.
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

// client makes the library's client for one mail. It hangs up when ctx ends: the library itself leaves connections open on which
// the handshake failed, and does not look at the context after it.
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

// Send hands the mail to the server. A recipient whom the server refuses for good is order.ErrInvalid, so that customers with a
// wrong address do not make mail look broken; a refused sender does. Once the server took the mail it is sent, even if the
// connection ends badly.
func (s *SMTP) Send(ctx context.Context, m *gomail.Msg, name string) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("mail %s: reach the SMTP server: %w: %w", name, order.ErrUnavailable, err)
	}
	err = client.SendWithSMTPClient(session, m)
	if m.IsDelivered() {
		_ = client.CloseWithSMTPClient(session) // Says goodbye; what comes of that does not matter any more.
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("mail %s: %w", name, ctx.Err())
	}
	return refusal(name, err)
}

// refusal tells the error of a mail without the library's text, which names the recipient.
func refusal(name string, err error) error {
	var refused *gomail.SendError
	switch {
	case !errors.As(err, &refused):
		return fmt.Errorf("mail %s was not taken by the SMTP server: %w", name, order.ErrUnavailable)
	case refused.Reason == gomail.ErrSMTPRcptTo && refused.ErrorCode() >= permanentCode:
		return fmt.Errorf("mail %s: the SMTP server refuses its recipient, code %d: %w", name, refused.ErrorCode(), order.ErrInvalid)
	}
	return fmt.Errorf("mail %s was not taken by the SMTP server (%s, code %d): %w", name, refused.Reason, refused.ErrorCode(), order.ErrUnavailable)
}
