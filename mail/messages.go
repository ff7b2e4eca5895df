package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/spillway/spillway/order"
)

// mailTypes is the table of all kinds of mail. Each kind has the templates templates/KIND.txt.tmpl and templates/KIND.html.tmpl.
var mailTypes = map[order.MailKind]struct{ subject, heading string }{
	order.MailConfirmation: {"Your order ", "Thank you for your order"},
	order.MailShipped:      {"On its way: your order ", "Your parcel is on its way"},
	order.MailCancelled:    {"Cancelled: your order ", "Your order was cancelled"},
	order.MailRefund:       {"Refund: your order ", "We gave money back"},
}

//go:embed templates/*.tmpl
var mailFiles embed.FS

// Messages composes mails from templates. It is safe for concurrent use.
type Messages struct {
	from string
	text map[order.MailKind]*texttemplate.Template
	html map[order.MailKind]*htmltemplate.Template
}

// content is the data of the templates. It holds no card data, because an order holds none.
type content struct {
	Order            order.Order
	Refund           order.Money
	Subject, Heading string
}

// NewMessages parses the embedded templates. from is the sender's address, as "NAME <ADDRESS>" or "ADDRESS".
func NewMessages(from string) (*Messages, error) {
	funcs := map[string]any{"money": func(c order.Currency, n order.Cents) string { return order.Money{Currency: c, Amount: n}.String() }}
	m := &Messages{from: from, text: map[order.MailKind]*texttemplate.Template{}, html: map[order.MailKind]*htmltemplate.Template{}}
	for kind := range mailTypes {
		text, html := string(kind)+".txt.tmpl", string(kind)+".html.tmpl"
		var err error
		if m.text[kind], err = texttemplate.New(text).Funcs(funcs).ParseFS(mailFiles, "templates/layout.txt.tmpl", "templates/"+text); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		if m.html[kind], err = htmltemplate.New(html).Funcs(funcs).ParseFS(mailFiles, "templates/layout.html.tmpl", "templates/"+html); err != nil {
			return nil, fmt.Errorf("%s: %w", html, err)
		}
	}
	return m, nil
}

// Write composes the order's mail of the kind. refund is the amount in mails of cancellations, where zero means that nothing was refunded,
// and in mails of refunds. It returns order.ErrInvalid for an unknown kind and for an invalid address of the customer. The library encodes
// every header, so that text of a customer cannot add one.
func (m *Messages) Write(kind order.MailKind, o order.Order, refund order.Money) (*gomail.Msg, error) {
	base := kind.Base()
	about, ok := mailTypes[base]
	if !ok {
		return nil, fmt.Errorf("unknown kind of mail %q: %w", kind, order.ErrInvalid)
	}
	o.Address = singleLines(o.Address)
	data := content{Order: o, Refund: refund, Subject: about.subject + string(o.ID), Heading: about.heading}
	var text, html bytes.Buffer
	if err := m.text[base].Execute(&text, data); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", kind, o.ID, err)
	}
	if err := m.html[base].Execute(&html, data); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", kind, o.ID, err)
	}
	msg := gomail.NewMsg()
	if err := msg.From(m.from); err != nil {
		return nil, fmt.Errorf("sender %q: %w", m.from, err)
	}
	if err := msg.To(o.Email); err != nil {
		// The address itself stays out of errors and logs.
		return nil, fmt.Errorf("invalid mail address of order %s: %w", o.ID, order.ErrInvalid)
	}
	msg.Subject(data.Subject)
	msg.SetMessageIDWithValue(string(o.ID) + "." + string(kind) + "@spillway")
	// Auto-Submitted prevents automatic replies, such as those of vacation responders (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, text.String())
	msg.AddAlternativeString(gomail.TypeTextHTML, html.String())
	return msg, nil
}

// singleLines returns the address with a space for each line break and other control or direction character. So the text of a customer
// cannot look like a paragraph of the shop.
func singleLines(a order.Address) order.Address {
	for _, field := range []*string{&a.Name, &a.Street, &a.City, &a.Region, &a.PostalCode, &a.CountryCode} {
		*field = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				return ' '
			}
			return r
		}, *field)
	}
	return a
}
