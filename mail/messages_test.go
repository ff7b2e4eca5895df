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
			header, parts := readMail(t, render(t, composeMail(t, c.kind, o, c.refund)))
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
	if _, err := c.Write("unknown", newOrder(t), order.Money{}); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestMessages_LineBreaksInAddress checks that the text of an attacker does not look like a paragraph of the shop.
func TestMessages_LineBreaksInAddress(t *testing.T) {
	o := newOrder(t)
	o.Address.Name = "Ada\r\n\r\nYour account is locked\u2028call us\u202egnp.exe"
	_, parts := readMail(t, render(t, composeMail(t, order.MailConfirmation, o, order.Money{})))
	for part, text := range parts {
		if !strings.Contains(text, "Ada    Your account is locked call us gnp.exe") {
			t.Errorf("%s keeps the name's line breaks:\n%s", part, text)
		}
	}
}
