package workers_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/mail/mailtest"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// mailShop is a database with the workers that send mail to a server.
type mailShop struct {
	db         *store.DB
	server     *mailtest.Server
	in         *fakeConsumer
	mailer     *workers.Mailer
	dispatcher *workers.MailDispatcher
	policy     *breaker.Policy
	sender     *fakeSwitchedSender
}

// fakeSwitchedSender is a Sender that a test replaces between two iterations.
type fakeSwitchedSender struct{ mail.Sender }

const (
	// outageTimeout bounds a mail in an outage, which a test waits for many times, and mailTimeout one that must not be sent twice: on a busy
	// machine the server takes a mail whose sender waits no longer for its reply. It is less than a lease of mails, which are not tried otherwise.
	outageTimeout, mailTimeout = 200 * time.Millisecond, 20 * time.Second
)

func (s *mailShop) smtp(t *testing.T, timeout time.Duration) mail.Sender {
	t.Helper()
	smtp, err := mail.NewSMTP(
		mail.SMTPConfig{Host: "127.0.0.1", Port: s.server.Port, Plain: true, Hello: "shop.example.com", Timeout: timeout, Connections: 4},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smtp.Close)
	return smtp
}

// mailAttempts is how often a mail is tried, with backoffs of a millisecond. All attempts together last 3 ms.
const mailAttempts = 3

func newMailShop(t *testing.T, db *store.DB, mode mailtest.Mode) *mailShop {
	t.Helper()
	server := mailtest.Start(t, mode)
	messages, err := mail.NewMessages("Shop <shop@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	mails, dead := store.NewMails(db), store.NewDeadLetters(db)
	s := &mailShop{
		db: db, server: server, in: newFakeConsumer(), sender: &fakeSwitchedSender{},
		policy: breaker.NewPolicy(breaker.Mail, breaker.Config{Timeout: 2 * mailTimeout, Failures: 3, Window: 5, Delay: time.Millisecond}),
	}
	s.sender.Sender = s.smtp(t, outageTimeout)
	service := mail.NewService(mails, s.sender, messages)
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
	s.sender.Sender = s.smtp(t, mailTimeout)
	eventually(t, "all mails to be sent", func() bool {
		s.run(t)
		due, err := store.NewMails(s.db).CountDue(t.Context(), 1)
		return err == nil && due == 0 && s.in.left() == 0
	})
	if mails, repeated := s.server.Counts(); mails != n || repeated != 0 || s.deadLetters(t) != 0 {
		t.Errorf("%d mails, %d more than once, %d dead letters; want %d mails", mails, repeated, s.deadLetters(t), n)
	}
}

// TestMailWorkers_LongOutage: the mail server is away for many times as long as all attempts of a mail last. Afterwards each mail is sent once.
func TestMailWorkers_LongOutage(t *testing.T) {
	for _, mode := range []mailtest.Mode{mailtest.Down, mailtest.Frozen} {
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
				s.server.Set(mailtest.Up)
				s.finish(t, 2*150)
			})
		})
	}
}
