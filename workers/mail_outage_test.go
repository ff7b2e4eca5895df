package workers_test

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// mailServerMode is what a fakeMailServer does with connections and mails.
type mailServerMode string

const (
	serverUp      mailServerMode = "up"
	serverDown    mailServerMode = "down"        // closes each connection at once
	serverFrozen  mailServerMode = "frozen"      // accepts connections and never responds
	serverSlow    mailServerMode = "slow"        // responds to each command after slowReply
	serverFull    mailServerMode = "full"        // accepts no mail for now
	serverForgets mailServerMode = "no response" // accepts a mail and closes the connection instead of a response
)

const slowReply = 20 * time.Millisecond

// fakeMailServer is an SMTP server with faults. It counts the mails by their Message-IDs.
type fakeMailServer struct {
	port int

	mu    sync.Mutex
	mode  mailServerMode
	mails map[string]int
}

func startMailServer(t *testing.T, mode mailServerMode) *fakeMailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeMailServer{port: port, mode: mode, mails: map[string]int{}}
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

func (s *fakeMailServer) set(mode mailServerMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

func (s *fakeMailServer) current() mailServerMode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode
}

func (s *fakeMailServer) serve(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	switch s.current() {
	case serverDown:
		return
	case serverFrozen:
		_, _ = r.ReadString('\n') // The client closes the connection.
		return
	case serverUp, serverSlow, serverFull, serverForgets:
	}
	fmt.Fprint(c, "220 test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil || s.current() == serverDown {
			return
		}
		if s.current() == serverSlow {
			<-time.After(slowReply)
		}
		switch {
		case strings.HasPrefix(line, "MAIL") && s.current() == serverFull:
			fmt.Fprint(c, "452 no space\r\n")
		case strings.HasPrefix(line, "DATA"):
			fmt.Fprint(c, "354 go on\r\n")
			if !s.take(r) || s.current() == serverForgets {
				return
			}
			fmt.Fprint(c, "250 OK\r\n")
		default:
			fmt.Fprint(c, "250 OK\r\n")
		}
	}
}

// take reads a mail and counts it.
func (s *fakeMailServer) take(r *bufio.Reader) bool {
	for id := ""; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if rest, ok := strings.CutPrefix(line, "Message-ID: "); ok && id == "" {
			id = strings.TrimSpace(rest)
		}
		if line == ".\r\n" {
			s.count(id)
			return true
		}
	}
}

// count counts a mail.
func (s *fakeMailServer) count(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails[id]++
}

// counts returns the number of different mails, and the number of mails that came more than once.
func (s *fakeMailServer) counts() (mails, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.mails {
		if n > 1 {
			repeated++
		}
	}
	return len(s.mails), repeated
}

// mailShop is a database with the workers that send mail to a server.
type mailShop struct {
	db         *store.DB
	server     *fakeMailServer
	in         *fakeConsumer
	mailer     *workers.Mailer
	dispatcher *workers.MailDispatcher
	policy     *breaker.Policy
}

// mailAttempts is how often a mail is tried, with backoffs of a millisecond. All attempts together last 3 ms.
const mailAttempts = 3

func newMailShop(t *testing.T, db *store.DB, mode mailServerMode) *mailShop {
	t.Helper()
	server := startMailServer(t, mode)
	smtp, err := mail.NewSMTP(
		mail.SMTPConfig{Host: "127.0.0.1", Port: server.port, Plain: true, Hello: "shop.example.com", Timeout: 200 * time.Millisecond, Connections: 4},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smtp.Close)
	messages, err := mail.NewMessages("Shop <shop@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	mails, dead := store.NewMails(db), store.NewDeadLetters(db)
	service := mail.NewService(mails, smtp, messages)
	s := &mailShop{
		db: db, server: server, in: newFakeConsumer(),
		policy: breaker.NewPolicy(breaker.Mail, breaker.Config{Timeout: 5 * time.Second, Failures: 3, Window: 5, Delay: time.Millisecond}),
	}
	client := mail.Client{Service: service, Local: service, Policy: s.policy}
	s.mailer = workers.NewMailer(workers.DefaultMailConfig(), s.in, mails, dead, client, noLog)
	cfg := workers.DefaultDispatchConfig()
	cfg.MaxAttempts, cfg.MinBackoff, cfg.MaxBackoff = mailAttempts, time.Millisecond, time.Millisecond
	s.dispatcher = workers.NewMailDispatcher(cfg, mails, store.NewOrders(db), client, noLog)
	return s
}

// order places n paid orders: their confirmations come by the queue, and their other mails are due.
func (s *mailShop) order(t *testing.T, n int) {
	t.Helper()
	all := paidOrders(t, store.NewOrders(s.db), n)
	s.in.put(settledOf(t, all...))
	ids := make([]order.ID, n)
	for i, o := range all {
		ids[i] = o.ID
	}
	if err := store.NewMails(s.db).AddAllDue(t.Context(), order.MailShipped, ids); err != nil {
		t.Fatal(err)
	}
}

// run runs an iteration of each worker.
func (s *mailShop) run(t *testing.T) {
	t.Helper()
	if _, err := s.mailer.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.dispatcher.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// deadLetters returns the number of dead letters.
func (s *mailShop) deadLetters(t *testing.T) int {
	t.Helper()
	letters, err := store.NewDeadLetters(s.db).List(t.Context(), store.DeadLetterFilter{}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(letters)
}

// finish runs the workers until no mail is due, and checks that the server got each of n mails, and none of them twice.
func (s *mailShop) finish(t *testing.T, n int) {
	t.Helper()
	eventually(t, "all mails to be sent", func() bool {
		s.run(t)
		due, err := store.NewMails(s.db).CountDue(t.Context(), 1)
		return err == nil && due == 0 && s.in.left() == 0
	})
	if mails, repeated := s.server.counts(); mails != n || repeated != 0 || s.deadLetters(t) != 0 {
		t.Errorf("%d mails, %d more than once, %d dead letters; want %d mails", mails, repeated, s.deadLetters(t), n)
	}
}

// TestMailWorkers_LongOutage: the mail server is away for many times as long as all attempts of a mail last. Afterwards each mail is sent once.
func TestMailWorkers_LongOutage(t *testing.T) {
	for _, mode := range []mailServerMode{serverDown, serverFrozen} {
		t.Run(string(mode), func(t *testing.T) {
			onBothShops(t, func(t *testing.T, db *store.DB) {
				s := newMailShop(t, db, mode)
				s.order(t, 150)
				for range 5 * mailAttempts {
					s.run(t)
				}
				if n := s.deadLetters(t); n != 0 || s.in.left() != 0 {
					t.Errorf("%d dead letters, %d messages left after the outage; want none", n, s.in.left())
				}
				s.server.set(serverUp)
				s.finish(t, 2*150)
			})
		})
	}
}
