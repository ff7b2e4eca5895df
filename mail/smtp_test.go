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

// mailServer speaks as much SMTP as a test needs.
type mailServer struct {
	port int
	// answers replaces the answer to commands that begin with the key; an empty one closes the connection.
	answers map[string]string

	mu    sync.Mutex
	mails []string
}

func startMailServer(t *testing.T, answers map[string]string) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := &mailServer{answers: answers}
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
				s.talk(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return s
}

func (s *mailServer) talk(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		answer := "250 OK"
		switch command := strings.ToUpper(line); {
		case strings.HasPrefix(command, "DATA"):
			fmt.Fprint(c, "354 go on\r\n")
			s.keep(r)
		case strings.HasPrefix(command, "QUIT"):
			answer = "221 bye"
		}
		for prefix, other := range s.answers {
			if strings.HasPrefix(line, prefix) {
				answer = other
			}
		}
		if answer == "" {
			return
		}
		fmt.Fprintf(c, "%s\r\n", answer)
	}
}

func (s *mailServer) keep(r *bufio.Reader) {
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

func (s *mailServer) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

// mailer sends to the port without TLS.
func mailer(t *testing.T, port int) *SMTP {
	t.Helper()
	m, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: port, Plain: true, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSMTPDeliversTheMail(t *testing.T) {
	server := startMailServer(t, nil)
	o := mugs(t)
	if err := mailer(t, server.port).Send(t.Context(), confirmation(t, o), "x"); err != nil {
		t.Fatal(err)
	}
	mails := server.received()
	if len(mails) != 1 {
		t.Fatalf("%d mails arrived", len(mails))
	}
	if header, parts := readMail(t, []byte(mails[0])); header.Get("Subject") != "Your order "+string(o.ID) || len(parts) != 2 {
		t.Errorf("what arrived: %s", mails[0])
	}
}

func TestWhatTheServerTookIsSent(t *testing.T) {
	for name, answers := range map[string]map[string]string{
		"no answer to QUIT":     {"QUIT": ""},
		"RSET after it refused": {"RSET": "500 what?"},
	} {
		server := startMailServer(t, answers)
		if err := mailer(t, server.port).Send(t.Context(), confirmation(t, mugs(t)), "x"); err != nil || len(server.received()) != 1 {
			t.Errorf("%s: %v, %d mails", name, err, len(server.received()))
		}
	}
}

func TestOnlyARefusedRecipientIsAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string]string
		want    error
	}{
		"no such recipient":   {map[string]string{"RCPT": "550 5.1.1 no such user ada@example.com"}, order.ErrInvalid},
		"mailbox busy":        {map[string]string{"RCPT": "450 4.2.1 busy"}, order.ErrUnavailable},
		"sender refused":      {map[string]string{"MAIL": "550 5.7.1 not you"}, order.ErrUnavailable},
		"gone in the middle":  {map[string]string{"RCPT": ""}, order.ErrUnavailable},
		"gone after the mail": {map[string]string{"DATA": ""}, order.ErrUnavailable},
	} {
		server := startMailServer(t, c.answers)
		err := mailer(t, server.port).Send(t.Context(), confirmation(t, mugs(t)), "x")
		if !errors.Is(err, c.want) || breaker.IsFailure(err) != errors.Is(c.want, order.ErrUnavailable) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "ada@example.com") {
			t.Errorf("%s: the error names the recipient: %v", name, err)
		}
	}
}

func TestASilentServerIsNotWaitedForLonger(t *testing.T) {
	_, port, _ := net.SplitHostPort(frozen(t))
	n, _ := strconv.Atoi(port)
	m, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: n, Plain: true, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := m.Send(context.Background(), confirmation(t, mugs(t)), "x"); err == nil || !breaker.IsFailure(err) || time.Since(began) > patience {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestSMTP_CallerLeaves(t *testing.T) {
	_, port, _ := net.SplitHostPort(frozen(t))
	n, _ := strconv.Atoi(port)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := mailer(t, n).Send(ctx, confirmation(t, mugs(t)), "x"); err == nil || time.Since(began) > patience/2 {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestTLSIsNotLeftOut(t *testing.T) {
	server := startMailServer(t, nil) // It offers no STARTTLS.
	m, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: server.port, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), confirmation(t, mugs(t)), "x"); err == nil || len(server.received()) != 0 {
		t.Errorf("a mail went out without TLS: %v", err)
	}
}

func TestSMTPConfigReportsAllMistakes(t *testing.T) {
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

// patience bounds what tests wait for.
const patience = 30 * time.Second

// frozen is a server that accepts connections and never answers.
func frozen(t *testing.T) (addr string) {
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
