package mail

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gomail "github.com/wneessen/go-mail"

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
func newConfirmation(t *testing.T, o order.Order) *gomail.Msg {
	t.Helper()
	return composeMail(t, order.MailConfirmation, o, order.Money{})
}

// composeMail composes the order's mail of the kind.
func composeMail(t *testing.T, kind order.MailKind, o order.Order, refund order.Money) *gomail.Msg {
	t.Helper()
	c, err := NewMessages(sender)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Write(kind, o, refund)
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

func render(t *testing.T, m *gomail.Msg) []byte {
	t.Helper()
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

func TestMessages_Confirmation(t *testing.T) {
	o := newOrder(t)
	header, parts := readMail(t, render(t, newConfirmation(t, o)))
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
	header, _ := readMail(t, render(t, newConfirmation(t, o)))
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
		if _, err := c.Write(order.MailConfirmation, o, order.Money{}); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%q: %v; want ErrInvalid", address, err)
		} else if len(address) > 1 && strings.Contains(err.Error(), address) {
			t.Errorf("the error contains the address: %v", err)
		}
	}
}

func TestMessages_InvalidSender(t *testing.T) {
	c, err := NewMessages("not an address")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(order.MailShipped, newOrder(t), order.Money{}); err == nil {
		t.Error("composed a mail without a sender")
	}
}

func TestFolder_ConcurrentSendsOfOneMail(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	f, o := Folder{Path: dir, Log: slog.New(slog.DiscardHandler)}, newOrder(t)
	name := string(o.ID) + ".confirmation"
	var wg sync.WaitGroup
	for range 8 { // The same mail at once, as after a redelivery.
		m := newConfirmation(t, o)
		wg.Go(func() {
			if err := f.Send(t.Context(), m, name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != name+".eml" {
		t.Fatalf("the folder holds %v, %v", files, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, parts := readMail(t, raw); len(parts) != 2 {
		t.Errorf("the file is not a whole mail:\n%s", raw)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read a customer's mail: %v, %v", info.Mode(), err)
	}
}

func TestFolder_InvalidNames(t *testing.T) {
	root := t.TempDir()
	f := Folder{Path: filepath.Join(root, "mail"), Log: slog.New(slog.DiscardHandler)}
	for _, name := range []string{"", "..", "../x", "a/b", `a\b`, ".hidden", "a\x00b", "a b", "ä", strings.Repeat("a", 129)} {
		if err := f.Send(t.Context(), newConfirmation(t, newOrder(t)), name); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%q: %v; want ErrInvalid", name, err)
		}
	}
	if files, _ := os.ReadDir(root); len(files) != 0 {
		t.Errorf("something was written: %v", files)
	}
}

func TestFolder_NotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := Folder{Path: file, Log: slog.New(slog.DiscardHandler)}
	if err := f.Send(t.Context(), newConfirmation(t, newOrder(t)), "a"); err == nil || errors.Is(err, order.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
