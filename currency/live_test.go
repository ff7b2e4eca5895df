package currency

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// today is the date of these tests.
var today = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// stubClock is a clock that a test sets.
type stubClock struct{ at time.Time }

func (c *stubClock) now() time.Time { return c.at }

func ratesOf(date, usd string) string { return "base,EUR\ndate," + date + "\nUSD," + usd + "\n" }

// write replaces the file and ensures that its stamp differs.
func write(t *testing.T, path, text string, modified time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}

func wantRate(t *testing.T, l *Live, want order.Cents) {
	t.Helper()
	got, err := l.Convert(order.Money{Currency: "EUR", Amount: 100}, "USD")
	if err != nil || got.Amount != want {
		t.Errorf("1 EUR = %v, %v; want %d cents", got, err, want)
	}
}

func TestNew_InvalidRates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rates.csv")
	open := func(maxAge time.Duration) error {
		_, err := newLive(Config{File: path, MaxAge: maxAge}, slog.New(slog.DiscardHandler), (&stubClock{today}).now)
		return err
	}
	if err := open(0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"today's":      {ratesOf("2026-03-10", "1.1"), nil},
		"at the limit": {ratesOf("2026-03-04", "1.1"), nil},
		"too old":      {ratesOf("2026-03-03", "1.1"), order.ErrRatesTooOld},
		"tomorrow's":   {ratesOf("2026-03-11", "1.1"), nil},
		"in future":    {ratesOf("2026-03-12", "1.1"), order.ErrInvalid},
		"not valid":    {"USD,1.1\n", order.ErrInvalid},
		"too large":    {ratesOf("2026-03-10", "1.1") + strings.Repeat("#", maxFileBytes), order.ErrInvalid},
	} {
		write(t, path, c.text, today)
		if err := open(7 * 24 * time.Hour); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
	write(t, path, ratesOf("2020-01-01", "1.1"), today)
	if err := open(0); err != nil {
		t.Errorf("old rates without a limit: %v", err)
	}
	if _, err := New(Config{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("the shipped rates: %v", err)
	}
	if _, err := New(Config{MaxAge: time.Hour}, slog.New(slog.DiscardHandler)); !errors.Is(err, order.ErrRatesTooOld) {
		t.Errorf("the shipped rates with a limit: %v; want ErrRatesTooOld", err)
	}
}

func TestLive_RatesBecomeTooOld(t *testing.T) {
	t.Parallel()
	path, clock := filepath.Join(t.TempDir(), "rates.csv"), &stubClock{today}
	write(t, path, ratesOf("2026-03-10", "1.1"), today)
	var log bytes.Buffer
	l, err := newLive(Config{File: path, MaxAge: 24 * time.Hour}, slog.New(slog.NewTextHandler(&log, nil)), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	wantRate(t, l, 110)
	clock.at = l.Expires().Add(time.Second)
	var old *order.RatesTooOldError
	if _, err := l.Convert(order.Money{Currency: "EUR", Amount: 100}, "USD"); !errors.As(err, &old) || !errors.Is(err, order.ErrUnavailable) ||
		old.Date != "2026-03-10" {
		t.Errorf("convert: %v; want RatesTooOld of 2026-03-10", err)
	}
	for _, c := range []order.Currency{"EUR", "USD"} {
		if got, err := l.Convert(order.Money{Currency: c, Amount: 100}, c); err != nil || got.Amount != 100 {
			t.Errorf("1 %s = %v, %v; want itself", c, got, err)
		}
	}
	if _, err := l.Convert(order.Money{Currency: "EUR", Amount: 100}, "XXX"); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("an unknown currency: %v; want ErrInvalid", err)
	}
	for range 3 {
		l.poll(t.Context())
	}
	if n := strings.Count(log.String(), "failed to load the exchange rates"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	write(t, path, ratesOf("2026-03-11", "1.2"), today.Add(time.Hour))
	l.poll(t.Context())
	wantRate(t, l, 120)
}

func TestLive_ReloadsAChangedFile(t *testing.T) {
	t.Parallel()
	path, clock := filepath.Join(t.TempDir(), "rates.csv"), &stubClock{today}
	write(t, path, ratesOf("2026-03-09", "1.1"), today)
	var log bytes.Buffer
	l, err := newLive(Config{File: path, MaxAge: 7 * 24 * time.Hour}, slog.New(slog.NewTextHandler(&log, nil)), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range []string{"nonsense", ratesOf("2026-03-10", "0"), ratesOf("2026-02-10", "1.3"), ""} {
		write(t, path, bad, today.Add(time.Duration(i+1)*time.Second))
		l.poll(t.Context())
		wantRate(t, l, 110)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.poll(t.Context())
	wantRate(t, l, 110)
	if n := strings.Count(log.String(), "failed to load the exchange rates"); n != 5 {
		t.Errorf("logged %d problems of 5:\n%s", n, log.String())
	}
	write(t, path, ratesOf("2026-03-10", "1.2"), today.Add(time.Minute))
	l.poll(t.Context())
	wantRate(t, l, 120)
	if l.Date() != "2026-03-10" || !l.Expires().Equal(time.Date(2026, 3, 17, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("rates of %s until %s", l.Date(), l.Expires())
	}
}
