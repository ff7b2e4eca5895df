package mail

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spillway/spillway/order"
)

// page is the data of the templates: all texts of a mail. It holds no card data, because an order holds none.
type page struct {
	Subject, Heading                                         string
	OrderID, Placed, TrackingID                              string
	Recipient, Street, City, Region, PostalCode, CountryCode string
	ItemsTotal, ShippingTotal, Total                         string
	// Refund is the refunded amount, or empty if nothing was refunded.
	Refund string
	Lines  []pageLine
}

// pageLine is one line of the order.
type pageLine struct{ SKU, Name, Quantity, UnitPrice, Total string }

// newPage returns the texts of the mail. The address of the customer is on single lines.
func newPage(m order.Mail, kind mailType) page {
	o := m.Order
	amount := func(n order.Cents) string { return order.Money{Currency: o.Currency, Amount: n}.String() }
	p := page{
		Subject: kind.subject + string(o.ID), Heading: kind.heading,
		OrderID: string(o.ID), Placed: o.CreatedAt.Format("2 January 2006"), TrackingID: o.TrackingID,
		Recipient: singleLine(o.Address.Name), Street: singleLine(o.Address.Street), City: singleLine(o.Address.City),
		Region: singleLine(o.Address.Region), PostalCode: singleLine(o.Address.PostalCode), CountryCode: singleLine(o.Address.CountryCode),
		ItemsTotal: amount(o.ItemsTotal), ShippingTotal: amount(o.ShippingTotal), Total: amount(o.Total),
		Lines: make([]pageLine, len(o.Lines)),
	}
	if m.Refund.Amount != 0 {
		p.Refund = m.Refund.String()
	}
	for i, l := range o.Lines {
		p.Lines[i] = pageLine{string(l.SKU), l.Name, strconv.Itoa(l.Quantity), amount(l.UnitPrice), amount(l.Total())}
	}
	return p
}

// singleLine replaces each line break and other control or direction character by a space. So the text of a customer cannot look like a
// paragraph of the shop.
func singleLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r < 0x7f: // The usual case comes first: the tables below are slow.
			return r
		case r < utf8.RuneSelf || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return ' '
		}
		return r
	}, text)
}
