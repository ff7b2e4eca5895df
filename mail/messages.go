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

// mailTypes is the one table of what is written to customers. Each kind has its templates in templates/, KIND.txt.tmpl and KIND.html.tmpl.
var mailTypes = map[order.MailKind]struct{ subject, heading string }{
	order.MailConfirmation: {"Your order ", "Thank you for your order"},
	order.MailShipped:      {"On its way: your order ", "Your parcel is on its way"},
	order.MailCancelled:    {"Cancelled: your order ", "Your order was cancelled"},
	order.MailRefund:       {"Refund: your order ", "We gave money back"},
}

//go:embed templates/*.tmpl
var mailFiles embed.FS

// Messages writes the mails to customers.
type Messages struct {
	from string
	text map[order.MailKind]*texttemplate.Template
	html map[order.MailKind]*htmltemplate.Template
}

// content is what the templates see. There is no card in it, because there is none in an order.
type content struct {
	Order            order.Order
	Refund           order.Money
	Subject, Heading string
}

// NewMessages reads the templates. from is the sender's address.
func NewMessages(from string) (*Messages, error) {
	funcs := map[string]any{"money": func(c order.Currency, n order.Cents) string { return order.Money{Currency: c, Amount: n}.String() }}
	l := &Messages{from: from, text: map[order.MailKind]*texttemplate.Template{}, html: map[order.MailKind]*htmltemplate.Template{}}
	for kind := range mailTypes {
		text, html := string(kind)+".txt.tmpl", string(kind)+".html.tmpl"
		var err error
		if l.text[kind], err = texttemplate.New(text).Funcs(funcs).ParseFS(mailFiles, "templates/layout.txt.tmpl", "templates/"+text); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		if l.html[kind], err = htmltemplate.New(html).Funcs(funcs).ParseFS(mailFiles, "templates/layout.html.tmpl", "templates/"+html); err != nil {
			return nil, fmt.Errorf("%s: %w", html, err)
		}
	}
	return l, nil
}

// Write makes the order's mail of the kind. The refund is in that of a cancellation, where zero means that nothing was given back, and in that of a refund.
// The library encodes every header, so that nothing a customer wrote adds one.
func (l *Messages) Write(kind order.MailKind, o order.Order, refund order.Money) (*gomail.Msg, error) {
	base := kind.Base()
	about, ok := mailTypes[base]
	if !ok {
		return nil, fmt.Errorf("there is no mail of kind %q: %w", kind, order.ErrInvalid)
	}
	o.Address = singleLines(o.Address)
	data := content{Order: o, Refund: refund, Subject: about.subject + string(o.ID), Heading: about.heading}
	var text, html bytes.Buffer
	if err := l.text[base].Execute(&text, data); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", kind, o.ID, err)
	}
	if err := l.html[base].Execute(&html, data); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", kind, o.ID, err)
	}
	m := gomail.NewMsg()
	if err := m.From(l.from); err != nil {
		return nil, fmt.Errorf("sender %q: %w", l.from, err)
	}
	if err := m.To(o.Email); err != nil {
		// The address itself stays out of errors and logs.
		return nil, fmt.Errorf("the mail address of order %s is not one: %w", o.ID, order.ErrInvalid)
	}
	m.Subject(data.Subject)
	m.SetMessageIDWithValue(string(o.ID) + "." + string(kind) + "@spillway")
	// Nobody's holiday answers it.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, text.String())
	m.AddAlternativeString(gomail.TypeTextHTML, html.String())
	return m, nil
}

// singleLines returns the address without line breaks and other control or direction characters: what a customer writes into a name
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
