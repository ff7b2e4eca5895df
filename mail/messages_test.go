package mail

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// sender is the From address in tests.
const sender = "Spillway <shop@spillway.example>"

// newOrder returns a priced order of three mugs, with markup in its texts.
func newOrder(t *testing.T) order.Order {
	t.Helper()
	id := order.NewID(0, time.Now())
	o := order.Order{
		ID: id, Currency: "EUR", Email: "ada@example.com", TrackingID: "SPW" + string(id),
		Lines:   []order.Line{{SKU: "6E92ZMYYFZ", Name: "Mug & <Saucer>", Quantity: 3, UnitPrice: 899}},
		Address: order.Address{Name: "Ada <b>Lovelace</b>", Street: "Weg 1", City: "Köln", PostalCode: "50667", CountryCode: "DE"},
	}
	if err := o.Price(948); err != nil {
		t.Fatal(err)
	}
	return o
}

// newConfirmation composes the confirmation of the order.
func newConfirmation(t *testing.T, o order.Order) Message {
	t.Helper()
	return composeMail(t, order.MailConfirmation, o, order.Money{})
}

// composeMail composes the order's mail of the kind.
func composeMail(t *testing.T, kind order.MailKind, o order.Order, refund order.Money) Message {
	t.Helper()
	c, err := NewMessages(sender)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Write(order.Mail{Kind: kind, Order: o, Refund: refund})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// readMail parses a mail as a mail program does, into headers and the decoded parts by media type.
func readMail(t *testing.T, raw []byte) (netmail.Header, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		parts[kind] = string(text)
	}
}

func TestMessages_Confirmation(t *testing.T) {
	o := newOrder(t)
	header, parts := readMail(t, newConfirmation(t, o).Raw)
	for name, want := range map[string]string{
		"To": "<ada@example.com>", "Subject": "Your order " + string(o.ID), "Message-Id": "<" + string(o.ID) + ".confirmation@spillway>",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q; want %q", name, got, want)
		}
	}
	if header.Get("Date") == "" || !strings.Contains(header.Get("From"), "shop@spillway.example") {
		t.Errorf("headers: %v", header)
	}
	for kind, text := range parts {
		for _, want := range []string{string(o.ID), "26.97 EUR", "9.48 EUR", "36.45 EUR", o.TrackingID, "Köln"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", kind, want, text)
			}
		}
	}
	if len(parts) != 2 || !strings.Contains(parts["text/plain"], "3 × Mug & <Saucer>") {
		t.Errorf("parts: %v", parts)
	}
	html := parts["text/html"]
	if strings.Contains(html, "<b>Lovelace") || strings.Contains(html, "<Saucer>") || !strings.Contains(html, "Mug &amp; &lt;Saucer&gt;") {
		t.Errorf("text of the customer became markup:\n%s", html)
	}
}

func TestMessages_HeaderInjection(t *testing.T) {
	o := newOrder(t)
	o.Address.Name = "Ada\r\nBcc: everyone@example.com\r\n\r\nhello"
	o.Lines[0].Name = "Mug\r\nX-Evil: 1"
	header, _ := readMail(t, newConfirmation(t, o).Raw)
	if len(header["Bcc"]) > 0 || len(header["X-Evil"]) > 0 {
		t.Errorf("headers: %v", header)
	}
	c, err := NewMessages(sender)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{
		"", "ada", "ada@example.com\r\nBcc: eve@example.com", "ada@example.com, eve@example.com", "ada@example.com\x00",
		"<ada@example.com>\nX-Evil: 1", "@", strings.Repeat("a", 100) + "\n@example.com",
	} {
		o.Email = address
		if _, err := c.Write(order.Mail{Kind: order.MailConfirmation, Order: o}); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%q: %v; want ErrInvalid", address, err)
		} else if len(address) > 1 && strings.Contains(err.Error(), address) {
			t.Errorf("the error contains the address: %v", err)
		}
	}
}

func TestMessages_InvalidSender(t *testing.T) {
	if _, err := NewMessages("not an address"); err == nil {
		t.Error("there are messages without a sender")
	}
}

// TestMessages_InvalidIDs: the ids are part of the Message-ID header.
func TestMessages_InvalidIDs(t *testing.T) {
	c, err := NewMessages(sender)
	if err != nil {
		t.Fatal(err)
	}
	o := newOrder(t)
	bad := o
	bad.ID = "01J\nBcc: eve@example.com"
	for _, m := range []order.Mail{{Kind: order.MailShipped, Order: bad}, {Kind: order.RefundMail("1>\nBcc: eve@example.com"), Order: o}} {
		if _, err := c.Write(m); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%q of order %q: %v; want ErrInvalid", m.Kind, m.Order.ID, err)
		}
	}
}

// TestMessages_HeadersAreShortLinesOfASCII: RFC 5322 permits 998 bytes a line.
func TestMessages_HeadersAreShortLinesOfASCII(t *testing.T) {
	o := newOrder(t)
	o.Address.Name, o.Lines[0].Name = strings.Repeat("Ä", 500), strings.Repeat("x", 5000)
	for _, kind := range order.MailKinds() {
		for line := range bytes.Lines(composeMail(t, kind, o, order.Money{}).Raw) {
			if len(line) > 200 || bytes.ContainsFunc(line, func(r rune) bool { return r > '~' || r == '\r' }) {
				t.Errorf("%s has the line %q", kind, line)
			}
		}
	}
}

func TestMessages_ContentOfEachKind(t *testing.T) {
	o := newOrder(t)
	o.CreatedAt = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		kind    order.MailKind
		refund  order.Money
		subject string
		want    []string
		absent  []string
	}{
		"confirmation": {order.MailConfirmation, order.Money{}, "Your order ", []string{"is paid", "36.45 EUR", "9.48 EUR", o.TrackingID, "Köln"}, []string{"cancelled"}},
		"shipped":      {order.MailShipped, order.Money{}, "On its way: your order ", []string{o.TrackingID, "Köln", "In the parcel"}, []string{"cancelled"}},
		"refunded": {
			order.MailCancelled,
			order.Money{Currency: "EUR", Amount: 3645},
			"Cancelled: your order ",
			[]string{"was cancelled", "36.45 EUR", "In total", "Earlier refunds are part of", "few days"},
			[]string{"was not paid", "We gave back", o.TrackingID},
		},
		"part": {
			order.RefundMail("01J00000000000000000000000"),
			order.Money{Currency: "EUR", Amount: 300},
			"Refund: your order ",
			[]string{"3.00 EUR", "few days"},
			[]string{"cancelled", "was not paid", o.TrackingID},
		},
		"unpaid": {order.MailCancelled, order.Money{}, "Cancelled: your order ", []string{"was cancelled", "was not paid"}, []string{"few days", o.TrackingID}},
	} {
		t.Run(name, func(t *testing.T) {
			header, parts := readMail(t, composeMail(t, c.kind, o, c.refund).Raw)
			if header.Get("Subject") != c.subject+string(o.ID) || header.Get("Message-Id") != "<"+string(o.ID)+"."+string(c.kind)+"@spillway>" {
				t.Errorf("headers: %v", header)
			}
			if len(parts) != 2 {
				t.Fatalf("parts: %v", parts)
			}
			for part, text := range parts {
				for _, want := range append(c.want, string(o.ID), "24 November 2026", "3 ×") {
					if !strings.Contains(text, want) {
						t.Errorf("%s lacks %q:\n%s", part, want, text)
					}
				}
				for _, bad := range append(c.absent, "<no value>", "%!") {
					if strings.Contains(text, bad) {
						t.Errorf("%s contains %q:\n%s", part, bad, text)
					}
				}
			}
			if strings.Contains(parts["text/html"], "<b>Lovelace") || strings.Contains(parts["text/plain"], "&amp;") {
				t.Errorf("escaped wrongly: %v", parts)
			}
			saveParts(t, name, parts)
		})
	}
}

// saveParts writes the parts to the folder in SPILLWAY_TEST_MAILS, if it is set, for inspection.
func saveParts(t *testing.T, name string, parts map[string]string) {
	t.Helper()
	dir := os.Getenv("SPILLWAY_TEST_MAILS")
	if dir == "" {
		return
	}
	for part, text := range parts {
		if err := os.WriteFile(filepath.Join(dir, name+"."+strings.TrimPrefix(part, "text/")), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMessages_EveryKind(t *testing.T) {
	for _, kind := range order.MailKinds() {
		composeMail(t, kind, newOrder(t), order.Money{})
	}
	c, err := NewMessages(sender)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(order.Mail{Kind: "unknown", Order: newOrder(t)}); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestMessages_LineBreaksInAddress checks that the text of an attacker does not look like a paragraph of the shop.
func TestMessages_LineBreaksInAddress(t *testing.T) {
	o := newOrder(t)
	o.Address.Name = "Ada\r\n\r\nYour account is locked\u2028call us\u202egnp.exe"
	_, parts := readMail(t, composeMail(t, order.MailConfirmation, o, order.Money{}).Raw)
	for part, text := range parts {
		if !strings.Contains(text, "Ada    Your account is locked call us gnp.exe") {
			t.Errorf("%s keeps the name's line breaks:\n%s", part, text)
		}
	}
}
