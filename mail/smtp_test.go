package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// newPlainSMTP returns a Sender to the port on localhost, without TLS.
func newPlainSMTP(t *testing.T, port int) *SMTP {
	t.Helper()
	return newSMTP(t, SMTPConfig{Host: "127.0.0.1", Port: port, Plain: true, Timeout: waitTimeout, Connections: 3})
}

func newSMTP(t *testing.T, cfg SMTPConfig) *SMTP {
	t.Helper()
	m, err := NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// sendOne sends one mail.
func sendOne(ctx context.Context, s Sender, m Message) error { return s.Send(ctx, []Message{m})[0] }

// newConfirmations composes n mails.
func newConfirmations(t *testing.T, n int) []Message {
	t.Helper()
	out := make([]Message, n)
	for i := range out {
		out[i] = newConfirmation(t, newOrder(t))
	}
	return out
}

func TestSMTP_Delivery(t *testing.T) {
	server := startSMTPServer(t, nil)
	o := newOrder(t)
	if err := sendOne(t.Context(), newPlainSMTP(t, server.port), newConfirmation(t, o)); err != nil {
		t.Fatal(err)
	}
	mails := server.received()
	if len(mails) != 1 {
		t.Fatalf("%d mails arrived", len(mails))
	}
	if header, parts := readMail(t, []byte(mails[0])); header.Get("Subject") != "Your order "+string(o.ID) || len(parts) != 2 {
		t.Errorf("received %s", mails[0])
	}
}

func TestSMTP_FailureAfterAcceptance(t *testing.T) {
	for name, replies := range map[string]map[string]string{
		"no reply to QUIT": {"QUIT": ""},
		"RSET refused":     {"RSET": "500 what?"},
	} {
		server := startSMTPServer(t, replies)
		if err := sendOne(t.Context(), newPlainSMTP(t, server.port), newConfirmation(t, newOrder(t))); err != nil || len(server.received()) != 1 {
			t.Errorf("%s: %v, %d mails", name, err, len(server.received()))
		}
	}
}

func TestSMTP_Failures(t *testing.T) {
	for name, c := range map[string]struct {
		replies map[string]string
		want    error
	}{
		"no such recipient": {map[string]string{"RCPT": "550 5.1.1 no such user ada@example.com"}, order.ErrInvalid},
		"mailbox busy":      {map[string]string{"RCPT": "450 4.2.1 busy"}, order.ErrUnavailable},
		"sender refused":    {map[string]string{"MAIL": "550 5.7.1 not you"}, order.ErrUnavailable},
		"closed at RCPT":    {map[string]string{"RCPT": ""}, order.ErrUnavailable},
		"closed at DATA":    {map[string]string{"DATA": ""}, order.ErrUnavailable},
	} {
		server := startSMTPServer(t, c.replies)
		err := sendOne(t.Context(), newPlainSMTP(t, server.port), newConfirmation(t, newOrder(t)))
		if !errors.Is(err, c.want) || breaker.IsFailure(err) != errors.Is(c.want, order.ErrUnavailable) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "ada@example.com") {
			t.Errorf("%s: the error contains the recipient: %v", name, err)
		}
	}
}

// TestSMTP_RefusedMailsBetweenOthers: a mail that is refused, at any step and for any reason, does not affect the others of its batch.
func TestSMTP_RefusedMailsBetweenOthers(t *testing.T) {
	for _, reply := range []string{"550 no such user", "450 busy", "421 closing", ""} {
		mails := newConfirmations(t, 9)
		server := startSMTPServer(t, map[string]string{"RCPT TO:<bad@": reply})
		for _, i := range []int{0, 4, 8} {
			mails[i].To = "<bad@example.com>"
		}
		errs := newPlainSMTP(t, server.port).Send(t.Context(), mails)
		for i, err := range errs {
			bad := i%4 == 0
			if (err != nil) != bad || errors.Is(err, order.ErrInvalid) != (bad && strings.HasPrefix(reply, "5")) {
				t.Errorf("%q: mail %d: %v", reply, i, err)
			}
		}
		if got := len(server.received()); got != 6 {
			t.Errorf("%q: %d mails arrived; want 6", reply, got)
		}
	}
}

func TestSMTP_ConnectionsAreReused(t *testing.T) {
	server := startSMTPServer(t, nil)
	m := newPlainSMTP(t, server.port)
	for range 3 {
		if err := errors.Join(m.Send(t.Context(), newConfirmations(t, 20))...); err != nil {
			t.Fatal(err)
		}
	}
	if err := sendOne(t.Context(), m, newConfirmation(t, newOrder(t))); err != nil {
		t.Fatal(err)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if len(server.mails) != 61 || len(server.commands) > 3 || server.peak > 3 {
		t.Errorf("%d mails over %d connections, %d at once; want 61 over at most 3", len(server.mails), len(server.commands), server.peak)
	}
	for _, commands := range server.commands {
		// Within a batch a mail takes three commands. RSET precedes the first mail of a later batch.
		all := strings.Join(commands, " ")
		if mails, resets := strings.Count(all, "DATA"), strings.Count(all, "RSET"); len(commands) > 1+3*mails+resets || resets > 3 {
			t.Errorf("%d mails took the commands %q", mails, commands)
		}
	}
}

func TestSMTP_MailsPerConnection(t *testing.T) {
	server := startSMTPServer(t, nil)
	m := newSMTP(t, SMTPConfig{Host: "127.0.0.1", Port: server.port, Plain: true, Timeout: waitTimeout, Connections: 1})
	if err := errors.Join(m.Send(t.Context(), newConfirmations(t, 2*maxMailsPerConnection+1))...); err != nil {
		t.Fatal(err)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if len(server.mails) != 2*maxMailsPerConnection+1 || len(server.commands) != 3 {
		t.Errorf("%d mails over %d connections; want 3", len(server.mails), len(server.commands))
	}
}

// TestSMTP_ServerClosesAfterSomeMails: with a reply or without, each mail arrives once, because the server did not accept the one that it
// closed the connection for.
func TestSMTP_ServerClosesAfterSomeMails(t *testing.T) {
	for _, closing := range []string{"421 4.7.0 too many mails", ""} {
		server := &fakeSMTPServer{mailsPerConnection: 7, closing: closing}
		server.start(t)
		m := newPlainSMTP(t, server.port)
		for range 2 {
			if err := errors.Join(m.Send(t.Context(), newConfirmations(t, 50))...); err != nil {
				t.Fatalf("%q: %v", closing, err)
			}
		}
		server.mu.Lock()
		seen := map[string]bool{}
		for _, mail := range server.mails {
			header, _ := readMail(t, []byte(mail))
			seen[header.Get("Message-Id")] = true
		}
		if len(server.mails) != 100 || len(seen) != 100 || len(server.commands) < 100/7 {
			t.Errorf("%q: %d mails, %d different, over %d connections", closing, len(server.mails), len(seen), len(server.commands))
		}
		server.mu.Unlock()
	}
}

func TestSMTP_IdleConnectionsAreClosed(t *testing.T) {
	var idle idleSessions
	client, server := net.Pipe()
	defer server.Close()
	idle.put(&smtpSession{conn: client, broken: true})
	s := idle.take()
	if s == nil || idle.take() != nil {
		t.Fatal("the session is not there once")
	}
	idle.put(s)
	idle.expire(s)
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || idle.take() != nil {
		t.Errorf("the connection of an expired session: %v", err)
	}
	idle.close()
	client, other := net.Pipe()
	defer other.Close()
	idle.put(&smtpSession{conn: client, broken: true})
	if _, err := other.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection that was put after close: %v", err)
	}
}

// TestSMTP_TLSAndAuthentication: a reused connection keeps them.
func TestSMTP_TLSAndAuthentication(t *testing.T) {
	https := httptest.NewTLSServer(http.NotFoundHandler())
	defer https.Close()
	server := &fakeSMTPServer{certificate: &https.TLS.Certificates[0]}
	server.start(t)
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	m := newSMTP(t, SMTPConfig{Host: "127.0.0.1", Port: server.port, Username: "u", Password: "p", Timeout: waitTimeout, Connections: 1})
	m.options = append(m.options, gomail.WithTLSConfig(&tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}))
	for range 2 {
		if err := errors.Join(m.Send(t.Context(), newConfirmations(t, 2))...); err != nil {
			t.Fatal(err)
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	all := strings.Join(server.commands[0], " ")
	if len(server.mails) != 4 || len(server.commands) != 1 || strings.Count(all, "STARTTLS") != 1 || strings.Count(all, "AUTH PLAIN") != 1 ||
		strings.Index(all, "STARTTLS") > strings.Index(all, "AUTH") {
		t.Errorf("%d mails, commands %q", len(server.mails), server.commands)
	}
}

// TestSMTP_ServerIsDown: no mail counts as tried, neither the first one nor those that are not tried after it.
func TestSMTP_ServerIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port)
	l.Close()
	for i, err := range newPlainSMTP(t, n).Send(t.Context(), newConfirmations(t, 20)) {
		if !errors.Is(err, order.ErrUnavailable) || !errors.Is(err, order.ErrNotSent) || !breaker.IsFailure(err) {
			t.Errorf("mail %d: %v", i, err)
		}
	}
}

func TestSMTP_FrozenServer(t *testing.T) {
	_, port, _ := net.SplitHostPort(startFrozenServer(t))
	n, _ := strconv.Atoi(port)
	m := newSMTP(t, SMTPConfig{Host: "127.0.0.1", Port: n, Plain: true, Timeout: 20 * time.Millisecond, Connections: 2})
	began := time.Now()
	for _, err := range m.Send(context.Background(), newConfirmations(t, 20)) {
		if err == nil || !breaker.IsFailure(err) || time.Since(began) > waitTimeout {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	}
}

func TestSMTP_CallerLeaves(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, port, _ := net.SplitHostPort(startFrozenServer(t, cancel))
	n, _ := strconv.Atoi(port)
	began := time.Now()
	if err := sendOne(ctx, newPlainSMTP(t, n), newConfirmation(t, newOrder(t))); !errors.Is(err, context.Canceled) || time.Since(began) > waitTimeout/2 {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// TestSMTP_NoTimeLeft: a mail that might be cut off in the middle is not tried.
func TestSMTP_NoTimeLeft(t *testing.T) {
	server := startSMTPServer(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout/2)
	defer cancel()
	if err := sendOne(ctx, newPlainSMTP(t, server.port), newConfirmation(t, newOrder(t))); !errors.Is(err, order.ErrOverloaded) || len(server.received()) != 0 {
		t.Errorf("%v, %d mails", err, len(server.received()))
	}
}

func TestSMTP_ServerWithoutSTARTTLS(t *testing.T) {
	server := startSMTPServer(t, nil) // It offers no STARTTLS.
	m := newSMTP(t, SMTPConfig{Host: "127.0.0.1", Port: server.port, Timeout: waitTimeout, Connections: 1})
	if err := sendOne(t.Context(), m, newConfirmation(t, newOrder(t))); err == nil || len(server.received()) != 0 {
		t.Errorf("a mail was sent without TLS: %v", err)
	}
}

// waitTimeout bounds what tests wait for.
const waitTimeout = 30 * time.Second

// startFrozenServer starts a server that accepts connections and never responds. It calls the functions when it has accepted one.
func startFrozenServer(t *testing.T, accepted ...func()) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
			for _, f := range accepted {
				f()
			}
		}
		for _, c := range open {
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// TestSMTP_CallerLeavesDuringAMail: the mail that has begun is sent, the others are not tried.
func TestSMTP_CallerLeavesDuringAMail(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := &fakeSMTPServer{afterMail: cancel}
	server.start(t)
	m := newSMTP(t, SMTPConfig{Host: "127.0.0.1", Port: server.port, Plain: true, Timeout: waitTimeout, Connections: 1})
	errs := m.Send(ctx, newConfirmations(t, 3))
	if errs[0] != nil || !errors.Is(errs[1], order.ErrOverloaded) || !errors.Is(errs[2], order.ErrOverloaded) || len(server.received()) != 1 {
		t.Errorf("%v, %d mails; want the first to be sent", errs, len(server.received()))
	}
}
