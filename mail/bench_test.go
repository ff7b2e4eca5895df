package mail

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// benchMail is a confirmation.
func benchMail(b *testing.B) (*Messages, order.Mail) {
	b.Helper()
	c, err := NewMessages(sender)
	if err != nil {
		b.Fatal(err)
	}
	o := order.Order{
		ID: "01J00000000000000000000000", State: order.Paid, Currency: "EUR", Email: "ada@example.com", TrackingID: "SPW01J00000000000000000000000",
		Lines:   []order.Line{{SKU: "6E92ZMYYFZ", Name: "Mug & <Saucer>", Quantity: 3, UnitPrice: 899}},
		Address: order.Address{Name: "Ada <b>Lovelace</b>", Street: "Weg 1", City: "Köln", PostalCode: "50667", CountryCode: "DE"},
	}
	if err := o.Price(948); err != nil {
		b.Fatal(err)
	}
	return c, order.Mail{Kind: order.MailConfirmation, Order: o}
}

// BenchmarkMessages_Write composes a confirmation with its MIME parts.
func BenchmarkMessages_Write(b *testing.B) {
	c, m := benchMail(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClient_Send sends batches by messages and by the service of this process, without SQL; the figures are for one mail.
func BenchmarkClient_Send(b *testing.B) {
	c, m := benchMail(b)
	mbox := NewMbox(b.TempDir(), slog.New(slog.DiscardHandler))
	s := NewService(stubSentMails{}, mbox, c)
	batch := make([]order.Mail, MaxBatch)
	for i := range batch {
		batch[i] = m
		batch[i].Order.ID = order.NewID(0, time.Now())
	}
	policy := breaker.NewPolicies(breaker.DefaultPolicies())[breaker.Mail]
	for name, client := range map[string]Client{"by messages": {Service: s, Policy: policy}, "local": {Service: s, Local: s, Policy: policy}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%MaxBatch != 0 {
					continue
				}
				if err := errors.Join(client.Send(b.Context(), batch)...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := mbox.Close(); err != nil {
		b.Fatal(err)
	}
}

// stubSentMails never sent a mail.
type stubSentMails struct{}

func (stubSentMails) Sent(context.Context, []order.MailID) (map[order.MailID]bool, error) {
	return nil, nil
} //nolint:nilnil // None.

func (stubSentMails) MarkSent(context.Context, []order.SentMail) error { return nil }

func (stubSentMails) CountTo(context.Context, []order.Recipient, time.Time) (map[order.Recipient]int, error) {
	return nil, nil //nolint:nilnil // An empty map.
}

// BenchmarkMbox_Send appends a batch; the figures are for one mail.
func BenchmarkMbox_Send(b *testing.B) {
	c, m := benchMail(b)
	mbox := NewMbox(b.TempDir(), slog.New(slog.DiscardHandler))
	batch := make([]Message, MaxBatch)
	for i := range batch {
		var err error
		if batch[i], err = c.Write(m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%MaxBatch != 0 {
			continue
		}
		if errs := mbox.Send(b.Context(), batch); errs[0] != nil {
			b.Fatal(errs[0])
		}
	}
	if err := mbox.Close(); err != nil {
		b.Fatal(err)
	}
}
