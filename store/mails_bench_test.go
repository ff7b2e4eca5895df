package store_test

import (
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// BenchmarkMails measures the statements of a batch of 100 mails on SQLite: reading which were sent, and recording them. An op is a batch.
func BenchmarkMails(b *testing.B) {
	db, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if _, err := store.NewMigrator(db).Up(b.Context()); err != nil {
		b.Fatal(err)
	}
	mails := store.NewMails(db)
	batch := func() []order.MailID {
		out := make([]order.MailID, benchBatch)
		for i := range out {
			out[i] = order.MailID{OrderID: order.NewID(0, time.Now()), Kind: order.MailConfirmation}
		}
		return out
	}
	known := batch()
	if err := mails.MarkSent(b.Context(), sentTo("bench", known)); err != nil {
		b.Fatal(err)
	}
	b.Run("sent", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := mails.Sent(b.Context(), known); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("mark sent", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := mails.MarkSent(b.Context(), sentTo(order.Recipient(rand.Text()[:22]), batch())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchDue is how many due mails a dispatcher leases at once.
const benchDue = 500

// BenchmarkMailsDue measures the statements of an iteration of the mail dispatcher on a real MySQL: adding 500 mails of shipped orders,
// leasing them, reading their orders, and removing them. An op is an iteration; cpu-ns/op is the processor time of this process.
func BenchmarkMailsDue(b *testing.B) {
	db, err := store.Open(b.Context(), realparts.MySQL(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if _, err := store.NewMigrator(db).Up(b.Context()); err != nil {
		b.Fatal(err)
	}
	mails, orders, ids := store.NewMails(db), store.NewOrders(db), make([]order.ID, benchDue)
	changes := benchChanges(0, benchDue, order.Paid)
	for i, c := range changes {
		ids[i] = c.Order.ID
	}
	if _, err := orders.Apply(b.Context(), changes); err != nil {
		b.Fatal(err)
	}
	var due []store.DueMail
	steps := []struct {
		name string
		run  func() error
		cpu  time.Duration
	}{
		{name: "add", run: func() error { return mails.AddAllDue(b.Context(), order.MailShipped, ids) }},
		{name: "lease", run: func() (err error) {
			due, err = mails.LeaseDue(b.Context(), benchDue, time.Minute)
			return err
		}},
		{name: "read", run: func() error {
			_, err := orders.ForMails(b.Context(), ids)
			return err
		}},
		{name: "drop", run: func() error {
			removed := make([]int64, len(due))
			for i, d := range due {
				removed[i] = d.ID
			}
			return mails.DropDue(b.Context(), removed)
		}},
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range steps {
			begun := cpuTime(b)
			if err := steps[i].run(); err != nil {
				b.Fatal(err)
			}
			steps[i].cpu += cpuTime(b) - begun
		}
	}
	for _, s := range steps {
		b.ReportMetric(float64(s.cpu.Nanoseconds())/float64(b.N*benchDue), s.name+"-cpu-ns/mail")
	}
}
