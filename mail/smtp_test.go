package mail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// fakeSMTPServer implements the subset of SMTP that the tests need.
type fakeSMTPServer struct {
	port int
	// replies replaces the reply to commands that begin with the key. An empty reply closes the connection.
	replies map[string]string

	mu    sync.Mutex
	mails []string
}

func startSMTPServer(t *testing.T, replies map[string]string) *fakeSMTPServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := &fakeSMTPServer{replies: replies}
	s.port, _ = strconv.Atoi(port)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				s.serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return s
}

func (s *fakeSMTPServer) serve(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(waitTimeout))
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		reply := "250 OK"
		switch command := strings.ToUpper(line); {
		case strings.HasPrefix(command, "DATA"):
			fmt.Fprint(c, "354 go on\r\n")
			s.readMail(r)
		case strings.HasPrefix(command, "QUIT"):
			reply = "221 bye"
		}
		for prefix, other := range s.replies {
			if strings.HasPrefix(line, prefix) {
				reply = other
			}
		}
		if reply == "" {
			return
		}
		fmt.Fprintf(c, "%s\r\n", reply)
	}
}

func (s *fakeSMTPServer) readMail(r *bufio.Reader) {
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, text.String())
}

func (s *fakeSMTPServer) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

// newPlainSMTP returns a Sender to the port on localhost, without TLS.
func newPlainSMTP(t *testing.T, port int) *SMTP {
	t.Helper()
	m, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: port, Plain: true, Timeout: waitTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSMTP_Delivery(t *testing.T) {
	server := startSMTPServer(t, nil)
	o := newOrder(t)
	if err := newPlainSMTP(t, server.port).Send(t.Context(), newConfirmation(t, o), "x"); err != nil {
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
		"no reply to QUIT":      {"QUIT": ""},
		"RSET after it refused": {"RSET": "500 what?"},
	} {
		server := startSMTPServer(t, replies)
		if err := newPlainSMTP(t, server.port).Send(t.Context(), newConfirmation(t, newOrder(t)), "x"); err != nil || len(server.received()) != 1 {
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
		err := newPlainSMTP(t, server.port).Send(t.Context(), newConfirmation(t, newOrder(t)), "x")
		if !errors.Is(err, c.want) || breaker.IsFailure(err) != errors.Is(c.want, order.ErrUnavailable) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "ada@example.com") {
			t.Errorf("%s: the error contains the recipient: %v", name, err)
		}
	}
}

func TestSMTP_FrozenServer(t *testing.T) {
	_, port, _ := net.SplitHostPort(startFrozenServer(t))
	n, _ := strconv.Atoi(port)
	m, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: n, Plain: true, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := m.Send(context.Background(), newConfirmation(t, newOrder(t)), "x"); err == nil || !breaker.IsFailure(err) || time.Since(began) > waitTimeout {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestSMTP_CallerLeaves(t *testing.T) {
	_, port, _ := net.SplitHostPort(startFrozenServer(t))
	n, _ := strconv.Atoi(port)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := newPlainSMTP(t, n).Send(ctx, newConfirmation(t, newOrder(t)), "x"); err == nil || time.Since(began) > waitTimeout/2 {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestSMTP_ServerWithoutSTARTTLS(t *testing.T) {
	server := startSMTPServer(t, nil) // It offers no STARTTLS.
	m, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: server.port, Timeout: waitTimeout})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), newConfirmation(t, newOrder(t)), "x"); err == nil || len(server.received()) != 0 {
		t.Errorf("a mail was sent without TLS: %v", err)
	}
}

func TestSMTPConfig_AllMistakesAtOnce(t *testing.T) {
	_, err := NewSMTP(SMTPConfig{Port: 70000, Plain: true, Username: "u", Password: "hunter2"})
	if !errors.Is(err, order.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
		t.Fatal(err)
	}
	for _, part := range []string{"host", "port", "password", "timeout"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about the %s in: %v", part, err)
		}
	}
	for port, ok := range map[int]bool{465: false, 587: true, 25: true} {
		_, err := NewSMTP(SMTPConfig{Host: "mail.example", Port: port, Username: "u", Password: "p", Timeout: time.Second})
		if (err == nil) != ok {
			t.Errorf("port %d: %v", port, err)
		}
	}
}

// waitTimeout bounds what tests wait for.
const waitTimeout = 30 * time.Second

// startFrozenServer starts a server that accepts connections and never responds.
func startFrozenServer(t *testing.T) (addr string) {
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
		}
		for _, c := range open {
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}
