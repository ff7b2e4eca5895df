package doctor

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/currency"
	"github.com/spillway/spillway/test/realparts"
)

func TestExternal_Rates(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../currency/rates.csv")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rates.csv")
	write(t, file, string(shipped), 0o600)
	table, err := currency.Load()
	if err != nil {
		t.Fatal(err)
	}
	day, err := time.Parse(time.DateOnly, table.Date())
	if err != nil {
		t.Fatal(err)
	}
	old := time.Since(day)
	of := func(file string, maxAge time.Duration) *session {
		return newSession(Config{Rates: &currency.Config{File: file, MaxAge: maxAge}})
	}
	want(t, of("", 0), "currency.rates", Warn, table.Date(), "--rates")
	want(t, of(file, 0), "currency.rates", OK, table.Date(), "")
	want(t, of(file, old-time.Hour), "currency.rates", Fail, "", "--rates (SPILLWAY_RATES)")
	want(t, of(file, old+time.Hour), "currency.rates", Warn, "are refused from", "--rates")
	want(t, of(filepath.Join(t.TempDir(), "none"), 0), "currency.rates", Fail, "no such file", "--rates")
	s := of("", 0)
	s.cfg.External.Development = true
	want(t, s, "currency.rates", OK, "trying it out", "")
	want(t, newSession(Config{}), "currency.rates", Skipped, "", "")
}

func TestExternal_Payment(t *testing.T) {
	t.Parallel()
	of := func(e External) *session { return newSession(Config{External: e}) }
	want(t, of(External{Payment: true, Simulated: true, Development: true}), "payment.provider", OK, "", "")
	want(t, of(External{Payment: true, Simulated: true}), "payment.provider", Warn, "no money is taken", "--simulate-provider-file")
	want(t, of(External{Payment: true, Simulated: true, Own: true}), "payment.provider", Fail, "refunds are never confirmed", "--payment-url")
	want(t, of(External{Payment: true, Simulated: true, Shared: true}), "payment.provider", Warn, "no money is taken", "no real orders")
	want(t, of(External{Payment: true}), "payment.provider", OK, "", "")
	want(t, of(External{}), "payment.provider", Skipped, "", "")
	want(t, of(External{}), "payment.defects", OK, "", "")
	want(t, of(External{Defects: []string{"--simulate-queue-drop"}}), "payment.defects", Warn, "--simulate-queue-drop", "leave them out")
}

func TestExternal_Mail(t *testing.T) {
	t.Parallel()
	of := func(change func(*External)) *session {
		e := External{Mail: true, MailFrom: "Shop <orders@shop.test>", DefaultFrom: "Spillway <orders@spillway.example>"}
		change(&e)
		return newSession(Config{External: e})
	}
	serve := func(greeting string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = fmt.Fprint(conn, greeting)
				_ = conn.Close()
			}
		}()
		return l.Addr().String()
	}
	at := func(addr string) *session { return of(func(e *External) { e.SMTPAddr = addr }) }
	want(t, at(serve("220 mail.shop.test ready\r\n")), "mail.server", OK, "greets", "")
	want(t, at(serve("HTTP/1.1 400 Bad Request\r\n")), "mail.server", Fail, "does not greet", "--smtp-port")
	want(t, at(realparts.FreeAddr(t)), "mail.server", Fail, "refused", "--smtp-host")
	want(t, at("mail.shop.test:587"), "mail.tls", OK, "TLS", "")
	want(t, at("mail.shop.test:587"), "mail.from", OK, "orders@shop.test", "")
	want(t, of(func(*External) {}), "mail.server", Warn, "a file", "--smtp-host")
	want(t, of(func(e *External) { e.Development = true }), "mail.server", OK, "a file", "")
	want(t, of(func(e *External) { e.SMTPAddr, e.SMTPPlain = "mail.shop.test:25", true }), "mail.tls", Warn, "nothing is encrypted", "--smtp-plain")
	want(t, of(func(e *External) { e.SMTPAddr, e.MailFrom = "mail.shop.test:25", e.DefaultFrom }), "mail.from", Warn, "example", "--mail-from")
	want(t, newSession(Config{}), "mail.server", Skipped, "", "")
}
