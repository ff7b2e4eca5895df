package mail

import (
	"bytes"
	htmltemplate "html/template"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// escapingTemplates parses the HTML templates of all kinds with html/template, which escapes by context.
func escapingTemplates(f *testing.F) map[order.MailKind]*htmltemplate.Template {
	f.Helper()
	out := map[order.MailKind]*htmltemplate.Template{}
	for kind := range mailTypes {
		name := string(kind) + ".html.tmpl"
		tmpl, err := htmltemplate.New(name).ParseFS(mailFiles, "templates/layout.html.tmpl", "templates/"+name)
		if err != nil {
			f.Fatal(err)
		}
		out[kind] = tmpl
	}
	return out
}

// FuzzPage_EscapedAsByHTMLTemplate puts texts of a customer into every field of every kind of mail. It also fails for a template that uses a
// text where escaping for the context between tags is not sufficient, such as in an attribute or a script.
func FuzzPage_EscapedAsByHTMLTemplate(f *testing.F) {
	for _, text := range []string{
		"Ada", `<script>alert("1")</script>`, `"'&<>+=` + "`", "\x00", "\xff\xfe", "Köln\u2028\u202e", "&amp;", "{{.Total}}", "</title>", "<!--", "﷐￾",
	} {
		f.Add(text, "Mug", int64(1))
		f.Add("Ada", text, int64(-1))
	}
	messages, err := NewMessages(sender)
	if err != nil {
		f.Fatal(err)
	}
	escaping := escapingTemplates(f)
	f.Fuzz(func(t *testing.T, customer, product string, amount int64) {
		o := order.Order{
			ID: order.ID(customer), Currency: order.Currency(product), TrackingID: customer, CreatedAt: time.Unix(amount%1e9, 0),
			Lines:      []order.Line{{SKU: order.SKU(customer), Name: product, Quantity: int(amount), UnitPrice: order.Cents(amount)}},
			ItemsTotal: order.Cents(amount), ShippingTotal: 1, Total: 2,
			Address: order.Address{Name: customer, Street: product, City: customer, Region: product, PostalCode: customer, CountryCode: product},
		}
		for kind, about := range mailTypes {
			p := newPage(order.Mail{Kind: kind, Order: o, Refund: order.Money{Currency: order.Currency(customer), Amount: order.Cents(amount)}}, about)
			var want bytes.Buffer
			if err := escaping[kind].Execute(&want, &p); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := messages.html[kind].Execute(&got, &p); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("%s with %q and %q:\n%s\nwant\n%s", kind, customer, product, &got, &want)
			}
		}
	})
}
