package mail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

func TestEachKindOfMailSaysWhatHappened(t *testing.T) {
	o := mugs(t)
	o.CreatedAt = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		kind    order.MailKind
		refund  order.Money
		subject string
		says    []string
		silent  []string
	}{
		"confirmation": {order.MailConfirmation, order.Money{}, "Your order ", []string{"is paid", "36.45 EUR", "9.48 EUR", o.TrackingID, "Köln"}, []string{"cancelled"}},
		"shipped":      {order.MailShipped, order.Money{}, "On its way: your order ", []string{o.TrackingID, "Köln", "In the parcel"}, []string{"cancelled"}},
		"refunded": {
			order.MailCancelled,
			order.Money{Currency: "EUR", Amount: 3645},
			"Cancelled: your order ",
			[]string{"was cancelled", "36.45 EUR", "few days"},
			[]string{"was not paid", o.TrackingID},
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
			header, parts := readMail(t, render(t, written(t, c.kind, o, c.refund)))
			if header.Get("Subject") != c.subject+string(o.ID) || header.Get("Message-Id") != "<"+string(o.ID)+"."+string(c.kind)+"@spillway>" {
				t.Errorf("headers: %v", header)
			}
			if len(parts) != 2 {
				t.Fatalf("parts: %v", parts)
			}
			for part, text := range parts {
				for _, want := range append(c.says, string(o.ID), "24 November 2026", "3 ×") {
					if !strings.Contains(text, want) {
						t.Errorf("%s lacks %q:\n%s", part, want, text)
					}
				}
				for _, bad := range append(c.silent, "<no value>", "%!") {
					if strings.Contains(text, bad) {
						t.Errorf("%s says %q:\n%s", part, bad, text)
					}
				}
			}
			if strings.Contains(parts["text/html"], "<b>Lovelace") || strings.Contains(parts["text/plain"], "&amp;") {
				t.Errorf("escaped wrongly: %v", parts)
			}
			keep(t, name, parts)
		})
	}
}

// keep writes the parts to a folder that SPILLWAY_TEST_MAILS names, to be looked at.
func keep(t *testing.T, name string, parts map[string]string) {
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

func TestEveryKindOfMailCanBeWritten(t *testing.T) {
	for _, kind := range order.MailKinds() {
		written(t, kind, mugs(t), order.Money{})
	}
	l, err := NewMessages(sender)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write("gossip", mugs(t), order.Money{}); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("a kind that is none: %v", err)
	}
}

// TestMessages_AddressStaysOnItsLines: text of an attacker must not look like a paragraph of the shop.
func TestMessages_AddressStaysOnItsLines(t *testing.T) {
	o := mugs(t)
	o.Address.Name = "Ada\r\n\r\nYour account is locked\u2028call us\u202egnp.exe"
	_, parts := readMail(t, render(t, written(t, order.MailConfirmation, o, order.Money{})))
	for part, text := range parts {
		if !strings.Contains(text, "Ada    Your account is locked call us gnp.exe") {
			t.Errorf("%s keeps the name's line breaks:\n%s", part, text)
		}
	}
}
