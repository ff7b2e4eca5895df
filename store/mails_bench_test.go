package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
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
	if err := mails.MarkSent(b.Context(), known); err != nil {
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
			if err := mails.MarkSent(b.Context(), batch()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
