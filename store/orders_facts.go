package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
	"github.com/spillway/spillway/ent/duemail"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/sentmail"
	"github.com/spillway/spillway/ent/stockreturn"
	"github.com/spillway/spillway/order"
)

// maxFacts bounds the mails and the dead letters of one order that are read; an order has a few.
const maxFacts = 50

// OrderFacts is what SQL has about an order beside its row and the ledger.
type OrderFacts struct {
	// Written is whether the order has its row.
	Written bool
	// ClaimedAt is since when the carrier may have the parcel; zero if it may not.
	ClaimedAt time.Time
	// Shipment is nil until the carrier took the parcel.
	Shipment *order.Shipment
	// Mails are those that were sent or skipped, and those that are due.
	Mails []MailFact
	// Cancellation is nil unless the order has a row in the outbox.
	Cancellation *CancellationFact
	// ReturnedAt is when its units went back to stock; zero if they did not.
	ReturnedAt time.Time
	// DeadLetters are those that name the order, oldest first, without their payloads.
	DeadLetters []DeadLetter
}

// MailFact is a mail that was sent or skipped, or is due.
type MailFact struct {
	Kind order.MailKind
	Sent bool
	// Skipped is why it is never sent; empty for others.
	Skipped order.MailSkip
	// At is when it was sent or skipped, or became due.
	At       time.Time
	Attempts int
}

// CancellationFact is how far a cancellation is. Times are zero for what is still to be done.
type CancellationFact struct {
	CreatedAt, RefundedAt, RestockedAt, FinishedAt time.Time
	Attempts                                       int
}

// OrderFacts reads the facts of an order; an order that SQL does not know has none. The reads are of different moments.
func (o *Orders) OrderFacts(ctx context.Context, id order.ID) (OrderFacts, error) {
	return fetch(ctx, o.db, func(ctx context.Context) (OrderFacts, error) {
		f := factReader{client: o.db.ent, id: id}
		for _, read := range []func(ctx context.Context) error{f.row, f.mails, f.cancellation, f.letters} {
			if err := read(ctx); err != nil {
				return OrderFacts{}, fmt.Errorf("read the steps of order %s: %w", id, err)
			}
		}
		shipped, err := o.Shipment(ctx, id)
		if err == nil {
			f.out.Shipment = &shipped
		}
		if errors.Is(err, order.ErrNotFound) {
			err = nil
		}
		return f.out, err
	})
}

type factReader struct {
	client *ent.Client
	id     order.ID
	out    OrderFacts
}

func (f *factReader) row(ctx context.Context) error {
	rows, err := f.client.Order.Query().Where(entorder.ID(string(f.id))).Select(entorder.FieldShipClaimedAt).All(ctx)
	if err != nil || len(rows) == 0 {
		return err
	}
	f.out.Written, f.out.ClaimedAt = true, timeOf(rows[0].ShipClaimedAt)
	return nil
}

func (f *factReader) mails(ctx context.Context) error {
	sent, err := f.client.SentMail.Query().Where(sentmail.OrderID(string(f.id))).Order(sentmail.ByID()).Limit(maxFacts).All(ctx)
	if err != nil {
		return err
	}
	for _, m := range sent {
		f.out.Mails = append(f.out.Mails, MailFact{Kind: order.MailKind(m.Kind), Sent: m.Skipped == "", Skipped: order.MailSkip(m.Skipped), At: m.SentAt.UTC()})
	}
	due, err := f.client.DueMail.Query().Where(duemail.OrderID(string(f.id))).Order(duemail.ByID()).Limit(maxFacts).All(ctx)
	for _, m := range due {
		f.out.Mails = append(f.out.Mails, MailFact{Kind: order.MailKind(m.Kind), At: m.CreatedAt.UTC(), Attempts: m.Attempts})
	}
	return err
}

func (f *factReader) cancellation(ctx context.Context) error {
	rows, err := f.client.OrderCancellation.Query().Where(ordercancellation.ID(string(f.id))).All(ctx)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		f.out.Cancellation = &CancellationFact{
			CreatedAt: rows[0].CreatedAt.UTC(), RefundedAt: timeOf(rows[0].RefundedAt), RestockedAt: timeOf(rows[0].RestockedAt),
			FinishedAt: timeOf(rows[0].FinishedAt), Attempts: rows[0].Attempts,
		}
	}
	returns, err := f.client.StockReturn.Query().Where(stockreturn.ID(string(f.id))).All(ctx)
	if len(returns) > 0 {
		f.out.ReturnedAt = returns[0].ReturnedAt.UTC()
	}
	return err
}

func (f *factReader) letters(ctx context.Context) error {
	rows, err := f.client.DeadLetter.Query().Where(deadletter.OrderID(string(f.id))).Order(deadletter.ByID()).Limit(maxFacts).
		Select(deadLetterHead()...).All(ctx)
	f.out.DeadLetters = convert(rows, toDeadLetter)
	return err
}

// timeOrNil is nil, which is null in SQL, for the zero time.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	at := micro(t)
	return &at
}

// timeOf is a time that may be null.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
