package wire

import (
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// scanSnapshot reads a usual snapshot: of an order that is neither cancelled nor refunded, written by MarshalSnapshot. It makes one string of
// the snapshot, of which all texts of the order are parts, and no messages in between: each consumer of an event reads its snapshot. ok is
// false for any other snapshot, which UnmarshalSnapshot reads through the generated messages; what both read is the same.
func scanSnapshot(raw []byte) (o order.Order, ok bool) {
	m := scanner{rest: string(raw)}
	for tag, more := m.next(); more; tag, more = m.next() {
		switch tag {
		case 1<<typeBits | typeBytes:
			o = m.order()
		case 2<<typeBits | typeBytes:
			o.IdempotencyKey = m.text()
		case 3<<typeBits | typeBytes:
			o.Fingerprint = []byte(m.bytes())
		default:
			m.bad = true
		}
	}
	return o, !m.bad && m.has(1<<1|1<<2|1<<3) && len(o.Fingerprint) > 0
}

// order reads an Order as FromOrder does.
func (m *scanner) order() order.Order {
	o := order.Order{Lines: make([]order.Line, 0, 1)}
	var items, shipping, total order.Money
	sub := scanner{rest: m.bytes(), repeated: 1 << 4}
	for tag, more := sub.next(); more; tag, more = sub.next() {
		switch tag {
		case 1<<typeBits | typeBytes:
			o.ID = order.ID(sub.text())
		case 2<<typeBits | typeVarint:
			o.State = sub.state()
		case 3<<typeBits | typeBytes:
			o.CustomerID = order.CustomerID(sub.text())
		case 4<<typeBits | typeBytes:
			o.Lines = append(o.Lines, sub.line(&o.Currency))
		case 5<<typeBits | typeBytes:
			items = sub.money(&o.Currency)
		case 6<<typeBits | typeBytes:
			shipping = sub.money(&o.Currency)
		case 7<<typeBits | typeBytes:
			total = sub.money(&o.Currency)
		case 8<<typeBits | typeBytes:
			o.Email = sub.text()
		case 9<<typeBits | typeBytes:
			o.Address = sub.address()
		case 10<<typeBits | typeBytes:
			o.TrackingID = sub.text()
		case 11<<typeBits | typeBytes:
			o.CreatedAt = sub.time()
		case 12<<typeBits | typeBytes:
			o.UpdatedAt = sub.time()
		case 14<<typeBits | typeBytes:
			o.ExpiresAt = sub.time()
		default:
			sub.bad = true
		}
	}
	o.ItemsTotal, o.ShippingTotal, o.Total = items.Amount, shipping.Amount, total.Amount
	m.bad = m.bad || sub.bad || !sub.has(1<<2|1<<5|1<<6|1<<7)
	return o
}

func (m *scanner) state() order.State {
	s, err := FromState(spillwayv1.OrderState(int32(m.varint()))) //nolint:gosec // As package proto does.
	m.bad = m.bad || err != nil
	return s
}

// line reads an OrderLine; its total follows from the others.
func (m *scanner) line(currency *order.Currency) (l order.Line) {
	sub := scanner{rest: m.bytes()}
	for tag, more := sub.next(); more; tag, more = sub.next() {
		switch tag {
		case 1<<typeBits | typeBytes:
			l.SKU = order.SKU(sub.text())
		case 2<<typeBits | typeBytes:
			l.Name = sub.text()
		case 3<<typeBits | typeVarint:
			l.Quantity = int(int32(sub.varint())) //nolint:gosec // As package proto does.
		case 4<<typeBits | typeBytes:
			l.UnitPrice = sub.money(currency).Amount
		case 5<<typeBits | typeBytes:
			sub.money(currency)
		default:
			sub.bad = true
		}
	}
	m.bad = m.bad || sub.bad || !sub.has(1<<4)
	return l
}

// money reads an amount as FromMoney does. It must be in the currency, which the first amount sets.
func (m *scanner) money(currency *order.Currency) order.Money {
	var code order.Currency
	var units int64
	var nanos int32
	sub := scanner{rest: m.bytes()}
	for tag, more := sub.next(); more; tag, more = sub.next() {
		switch tag {
		case 1<<typeBits | typeBytes:
			code = order.Currency(sub.text())
		case 2<<typeBits | typeVarint:
			units = int64(sub.varint()) //nolint:gosec // As package proto does.
		case 3<<typeBits | typeVarint:
			nanos = int32(sub.varint()) //nolint:gosec // As package proto does.
		default:
			sub.bad = true
		}
	}
	if *currency == "" {
		*currency = code
	}
	amount, err := order.FromUnitsNanos(code, units, nanos)
	m.bad = m.bad || sub.bad || err != nil || code == "" || code != *currency
	return amount
}

func (m *scanner) address() (a order.Address) {
	sub := scanner{rest: m.bytes()}
	for tag, more := sub.next(); more; tag, more = sub.next() {
		switch tag {
		case 1<<typeBits | typeBytes:
			a.Name = sub.text()
		case 2<<typeBits | typeBytes:
			a.Street = sub.text()
		case 3<<typeBits | typeBytes:
			a.City = sub.text()
		case 4<<typeBits | typeBytes:
			a.Region = sub.text()
		case 5<<typeBits | typeBytes:
			a.PostalCode = sub.text()
		case 6<<typeBits | typeBytes:
			a.CountryCode = sub.text()
		default:
			sub.bad = true
		}
	}
	m.bad = m.bad || sub.bad
	return a
}

// time reads a Timestamp as fromTime does.
func (m *scanner) time() time.Time {
	var seconds, nanos int64
	sub := scanner{rest: m.bytes()}
	for tag, more := sub.next(); more; tag, more = sub.next() {
		switch tag {
		case 1<<typeBits | typeVarint:
			seconds = int64(sub.varint()) //nolint:gosec // As package proto does.
		case 2<<typeBits | typeVarint:
			nanos = int64(int32(sub.varint())) //nolint:gosec // As package proto does.
		default:
			sub.bad = true
		}
	}
	m.bad = m.bad || sub.bad
	return time.Unix(seconds, nanos).UTC().Truncate(time.Microsecond)
}
