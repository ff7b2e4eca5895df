package wire

import (
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/spillway/spillway/order"
)

// usualSnapshotBytes is the size of the snapshot of an order of one or two lines, in bytes: it is made in one allocation.
const usualSnapshotBytes = 640

// appendSnapshot makes the snapshot of an order that is reserved, without messages in between. ok is false for any other order, and for one
// with text that is not UTF-8, which protobuf refuses: MarshalSnapshot makes those through the generated messages.
func appendSnapshot(o *order.Order) (raw []byte, ok bool) {
	if o.CancelReason != (order.CancelReason{}) || o.Refunded != 0 || o.RefundPending != 0 {
		return nil, false
	}
	a := appender{raw: make([]byte, 0, usualSnapshotBytes)}
	a.message(1, func() { a.order(o) })
	a.text(2, o.IdempotencyKey)
	if len(o.Fingerprint) > 0 {
		a.raw = protowire.AppendBytes(protowire.AppendTag(a.raw, 3, protowire.BytesType), o.Fingerprint)
	}
	return a.raw, !a.bad
}

// appender appends the fields of messages as protobuf does: a field with its zero value is left out.
type appender struct {
	raw []byte
	bad bool
}

func (a *appender) order(o *order.Order) {
	a.text(1, string(o.ID))
	a.number(2, int64(State(o.State)))
	a.text(3, string(o.CustomerID))
	for i := range o.Lines {
		a.message(4, func() { a.line(&o.Lines[i], o.Currency) })
	}
	a.money(5, o.Currency, o.ItemsTotal)
	a.money(6, o.Currency, o.ShippingTotal)
	a.money(7, o.Currency, o.Total)
	a.text(8, o.Email)
	a.message(9, func() { a.address(&o.Address) })
	a.text(10, o.TrackingID)
	a.time(11, o.CreatedAt)
	a.time(12, o.UpdatedAt)
	if !o.ExpiresAt.IsZero() {
		a.time(14, o.ExpiresAt)
	}
}

func (a *appender) line(l *order.Line, currency order.Currency) {
	a.bad = a.bad || l.Quantity < 0 || l.Quantity > math.MaxInt32
	a.text(1, string(l.SKU))
	a.text(2, l.Name)
	a.number(3, int64(l.Quantity))
	a.money(4, currency, l.UnitPrice)
	a.money(5, currency, l.Total())
}

func (a *appender) address(of *order.Address) {
	a.text(1, of.Name)
	a.text(2, of.Street)
	a.text(3, of.City)
	a.text(4, of.Region)
	a.text(5, of.PostalCode)
	a.text(6, of.CountryCode)
}

func (a *appender) money(field protowire.Number, currency order.Currency, amount order.Cents) {
	units, nanos := order.Money{Currency: currency, Amount: amount}.UnitsNanos()
	a.message(field, func() {
		a.text(1, string(currency))
		a.number(2, units)
		a.number(3, int64(nanos))
	})
}

func (a *appender) time(field protowire.Number, t time.Time) {
	a.message(field, func() {
		a.number(1, t.Unix())
		a.number(2, int64(t.Nanosecond()))
	})
}

func (a *appender) text(field protowire.Number, s string) {
	if s == "" {
		return
	}
	a.bad = a.bad || !utf8.ValidString(s)
	a.raw = protowire.AppendString(protowire.AppendTag(a.raw, field, protowire.BytesType), s)
}

func (a *appender) number(field protowire.Number, n int64) {
	if n != 0 {
		a.raw = protowire.AppendVarint(protowire.AppendTag(a.raw, field, protowire.VarintType), uint64(n)) //nolint:gosec // As package proto does.
	}
}

// message appends a message with the fields that content appends. It moves them if their length takes more than the one byte that it leaves.
func (a *appender) message(field protowire.Number, content func()) {
	a.raw = append(protowire.AppendTag(a.raw, field, protowire.BytesType), 0)
	start := len(a.raw)
	content()
	n := len(a.raw) - start
	var room [maxVarintBytes]byte
	a.raw = append(a.raw, room[:protowire.SizeVarint(uint64(n))-1]...) //nolint:gosec // A length.
	copy(a.raw[len(a.raw)-n:], a.raw[start:start+n])
	protowire.AppendVarint(a.raw[:start-1], uint64(n)) //nolint:gosec // A length.
}
