package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// smtpStep is a step of sending a mail, in which the server may refuse it.
type smtpStep string

// The steps in their order.
const (
	stepReset     smtpStep = "RSET"
	stepSender    smtpStep = "MAIL FROM"
	stepRecipient smtpStep = "RCPT TO"
	stepData      smtpStep = "DATA"
	stepAccept    smtpStep = "end of DATA"
)

// serviceClosing is the reply code of a server that closes the connection (RFC 5321).
const serviceClosing = 421

// sessionError is a mail that was not accepted. code is the server's reply code, or 0 if the connection broke.
type sessionError struct {
	step smtpStep
	code int
	err  error
}

// Error returns the step and the cause, which may contain the recipient.
func (e *sessionError) Error() string { return fmt.Sprintf("%s: %v", e.step, e.err) }

// Unwrap returns the cause.
func (e *sessionError) Unwrap() error { return e.err }

// isNotAccepted reports whether the server certainly did not accept the mail: the connection broke before the end of the mail was sent, or the
// server announced that it closes it.
func isNotAccepted(err error) bool {
	var e *sessionError
	return errors.As(err, &e) && (e.code == serviceClosing || e.code == 0 && e.step != stepAccept)
}

// smtpSession is an open connection to the SMTP server. One goroutine at a time uses it.
type smtpSession struct {
	client *smtp.Client
	// conn is the connection under TLS.
	conn net.Conn
	// pipelining is set if the server takes several commands before it replies.
	pipelining bool
	// mailParameters follow the sender's address in MAIL FROM.
	mailParameters string
	// data is the buffer for the commands and the text of a mail.
	data []byte
	// mails is the number of mails that were accepted.
	mails int
	// reset is set if RSET must precede the next mail: after a refused one, whose transaction is still open, and after a pause, to find out
	// whether the connection still works.
	reset bool
	// broken is set if the connection cannot be used any more.
	broken bool
}

// connect opens a connection, with STARTTLS and authentication as configured. It returns when ctx ends.
func (s *SMTP) connect(ctx context.Context) (*smtpSession, error) {
	session := &smtpSession{}
	stop := func() bool { return true }
	dial := func(dialCtx context.Context, network, addr string) (conn net.Conn, err error) {
		var d net.Dialer
		if conn, err = d.DialContext(dialCtx, network, addr); err != nil {
			return nil, err
		}
		// The library ignores the context after this, and leaves a connection open after a failed handshake.
		session.conn, stop = conn, context.AfterFunc(ctx, func() { conn.Close() })
		return conn, nil
	}
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), gomail.WithDialContextFunc(dial))...)
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	session.client, err = client.DialToSMTPClientWithContext(ctx)
	stop()
	if err == nil {
		session.useExtensions()
		return session, nil
	}
	if session.conn != nil {
		session.conn.Close()
	}
	return nil, err
}

// send sends a mail. The connection breaks when ctx ends. An error is a *sessionError.
func (s *smtpSession) send(ctx context.Context, mail Message) error {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	deadline, _ := ctx.Deadline() // None is the zero time, which is no deadline for the connection, too.
	if err := s.conn.SetDeadline(deadline); err != nil {
		return s.failed(stepReset, err)
	}
	if err := s.begin(mail); err != nil {
		return err
	}
	// A failed write may have sent the end of the mail, so that its step is stepAccept, too.
	s.data = appendData(s.data[:0], mail.Raw)
	if err := s.exchange(s.data, codeOK); err != nil {
		return s.failed(stepAccept, err)
	}
	s.reset = false
	s.mails++
	return nil
}

// failed returns the error of a step. Only a reply other than serviceClosing leaves the connection usable. A refused RSET does not, because a
// new connection has a clean state.
func (s *smtpSession) failed(step smtpStep, err error) error {
	out := &sessionError{step: step, err: err}
	var reply *textproto.Error
	if errors.As(err, &reply) && step != stepReset {
		out.code = reply.Code
	}
	s.broken = s.broken || out.code == 0 || out.code == serviceClosing
	return out
}

// usable reports whether another mail may be sent over the connection.
func (s *smtpSession) usable() bool { return !s.broken && s.mails < maxMailsPerConnection }

// close closes the connection, with QUIT if it works.
func (s *smtpSession) close() {
	if !s.broken && s.conn.SetDeadline(time.Now().Add(quitTimeout)) == nil {
		_ = s.client.Quit() // The mails are accepted whether or not QUIT succeeds.
	}
	s.conn.Close()
}
