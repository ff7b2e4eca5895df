package e2e

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
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	smtpmock "github.com/mocktools/go-smtp-mock/v2"

	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// postOffice is an SMTP server that takes every mail. Told to receive one mail a session, it would forget that at the RSET after it.
func postOffice(t *testing.T) *smtpmock.Server {
	t.Helper()
	s := smtpmock.New(smtpmock.ConfigurationAttr{MultipleMessageReceiving: true})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// taken are the mails that the server took whole; it also lists sessions that are under way.
func taken(office *smtpmock.Server) []smtpmock.Message {
	return slices.DeleteFunc(office.Messages(), func(m smtpmock.Message) bool { return !m.IsConsistent() })
}

// mailParts parses a mail as its reader's program does.
func mailParts(t *testing.T, raw string) (netmail.Header, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
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

func (s *shop) buy(key string) order.ID {
	s.t.Helper()
	return order.ID(s.mustPay(s.guest(), orderBody(hotSKU, 2, goodCard), key).Order.ID)
}

func (s *shop) becomes(limit time.Duration, id order.ID, want order.State) {
	s.t.Helper()
	orders := store.NewOrders(s.db())
	s.eventually(limit, "order "+string(id)+" to be "+want.String(), func() bool {
		o, err := orders.Get(s.t.Context(), id)
		return err == nil && o.State == want
	})
}

func TestMail_OverSMTP(t *testing.T) {
	office := postOffice(t)
	s := embedded(t, "--smtp-host", "127.0.0.1", "--smtp-port", strconv.Itoa(office.PortNumber()), "--smtp-plain", "--mail-from", "Shop <shop@example.com>")
	id := s.buy("k")
	var got []smtpmock.Message
	s.eventually(startTimeout, "two mails", func() bool { got = taken(office); return len(got) == 2 })
	subjects := make([]string, len(got))
	for i, m := range got {
		header, parts := mailParts(t, m.MsgRequest())
		subjects[i] = header.Get("Subject")
		if header.Get("To") != "<a@example.com>" || !strings.Contains(header.Get("From"), "shop@example.com") || len(parts) != 2 {
			t.Errorf("the mail is from %s to %s with %d parts", header.Get("From"), header.Get("To"), len(parts))
		}
		for kind, text := range parts {
			if !strings.Contains(text, string(id)) || !strings.Contains(text, "SPW"+string(id)) || !strings.Contains(text, "Berlin") {
				t.Errorf("%s: %s", kind, text)
			}
			for _, secret := range []string{goodCard, "4242", "cvv"} {
				if strings.Contains(strings.ReplaceAll(text, string(id), ""), secret) {
					t.Errorf("%s holds %q of the card", kind, secret)
				}
			}
		}
	}
	slices.Sort(subjects)
	if want := []string{"On its way: your order " + string(id), "Your order " + string(id)}; !slices.Equal(subjects, want) {
		t.Errorf("the mails are %q; want %q", subjects, want)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if n := len(taken(office)); n != 2 {
		t.Errorf("%d mails after the shop was stopped; want 2", n)
	}
}

func TestMail_WithoutAServerInAnMbox(t *testing.T) {
	s := embedded(t)
	id := s.buy("k")
	path := filepath.Join(strings.TrimSuffix(strings.TrimPrefix(s.dsn, "sqlite:"), "/spillway.db"), "mail", mail.MboxName)
	for _, kind := range []string{"confirmation", "shipped"} {
		s.eventually(startTimeout, path+" to hold the "+kind, func() bool {
			mbox, err := os.ReadFile(path)
			return err == nil && bytes.Contains(mbox, []byte("\nMessage-ID: <"+string(id)+"."+kind+"@spillway>\n"))
		})
	}
}

// TestShipRescuer_CarrierIsBack: the queue was in memory and is gone by then, so it is the rescuer who does it.
func TestShipRescuer_CarrierIsBack(t *testing.T) {
	s := embedded(t, "--simulate-carrier", "down")
	ids := []order.ID{s.buy("k1"), s.buy("k2")}
	for _, id := range ids {
		s.becomes(startTimeout, id, order.ShipFailed)
	}
	if err := s.stop(); err != nil {
		t.Errorf("the shop ended with %v", err)
	}
	if log, err := os.ReadFile(s.log.Name()); err != nil || !bytes.Contains(log, []byte("ship_failed=2")) || bytes.Contains(log, []byte("and shipped")) {
		t.Errorf("the log does not say that two parcels are not with the carrier (%v)", err)
	}
	s.args[len(s.args)-1] = "ok"
	s.start()
	for _, id := range ids {
		s.becomes(2*startTimeout, id, order.Shipped)
		if _, err := store.NewOrders(s.db()).Shipment(t.Context(), id); err != nil {
			t.Errorf("the shipment: %v", err)
		}
	}
}

func TestShipper_LateResponseIsRetried(t *testing.T) {
	s := embedded(t, "--simulate-carrier", "late")
	s.becomes(startTimeout, s.buy("k"), order.Shipped)
}

func TestStart_AllMailMistakesAreListed(t *testing.T) {
	out, err := command(t, binary, "all", "--data-dir", t.TempDir(), "--smtp-host", "mail.example", "--smtp-port", "70000", "--smtp-plain",
		"--smtp-username", "u", "--smtp-password", "hunter2", "--mail-from", "nobody", "--carrier-latency=-1s").CombinedOutput()
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{"port 70000", "without TLS", "--mail-from", "--carrier-latency"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing about %q in: %s", want, out)
		}
	}
	if strings.Contains(string(out), "hunter2") {
		t.Errorf("the password is in: %s", out)
	}
	out, err = command(t, binary, "all", "--data-dir", t.TempDir(), "--smtp-username", "u", "--smtp-password", "hunter2").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--smtp-host") || strings.Contains(string(out), "hunter2") {
		t.Errorf("a password for nobody: %v, %s", err, out)
	}
}
