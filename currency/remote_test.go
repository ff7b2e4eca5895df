package currency

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// remoteService is a currency service in another process.
type remoteService struct {
	spillwayv1connect.CurrencyServiceClient

	resp *spillwayv1.GetSupportedCurrenciesResponse
	err  error
}

func (s *remoteService) GetSupportedCurrencies(
	_ context.Context, req *spillwayv1.GetSupportedCurrenciesRequest,
) (*spillwayv1.GetSupportedCurrenciesResponse, error) {
	if !req.GetIncludeRates() {
		return nil, errors.New("the rates are not requested")
	}
	return s.resp, s.err
}

// responseOf is a response with a rate of 2 dollars for a euro.
func responseOf(date string, expires time.Time) *spillwayv1.GetSupportedCurrenciesResponse {
	out := &spillwayv1.GetSupportedCurrenciesResponse{RateDate: date, EuroRates: []*spillwayv1.EuroRate{{CurrencyCode: "USD", Rate: "2"}}}
	if !expires.IsZero() {
		out.RateExpireTime = timestamppb.New(expires)
	}
	return out
}

func newRemoteOf(t *testing.T, service *remoteService, now *time.Time) *Remote {
	t.Helper()
	r, err := NewRemote(service, breaker.NewPolicy(breaker.Currency, breaker.DefaultPolicies()[breaker.Currency]), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.now = func() time.Time { return *now }
	return r
}

var (
	oneEuro = order.Money{Currency: "EUR", Amount: 100}
	twoUSD  = order.Money{Currency: "USD", Amount: 200}
)

// TestRemote_OldRates: the last rates stay in use while the service is down, until they are too old; then an amount that needs no rate still passes, and
// fresh ones end it.
func TestRemote_OldRates(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	const maxAge = 7 * 24 * time.Hour
	now := day.Add(time.Hour)
	service := &remoteService{resp: responseOf("2026-03-02", day.Add(maxAge))}
	r := newRemoteOf(t, service, &now)
	if err := r.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	service.err = order.ErrUnavailable
	if err := r.read(t.Context()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("the service is down: %v", err)
	}
	now = day.Add(maxAge)
	if got, err := r.Convert(oneEuro, "USD"); got != twoUSD || err != nil {
		t.Errorf("the last moment: %v, %v", got, err)
	}
	now = now.Add(time.Second)
	var old *order.RatesTooOldError
	if _, err := r.Convert(oneEuro, "USD"); !errors.As(err, &old) || old.Date != "2026-03-02" || old.MaxAge != maxAge {
		t.Errorf("too old: %v", err)
	}
	if got, err := r.Convert(oneEuro, "EUR"); got != oneEuro || err != nil {
		t.Errorf("without a rate: %v, %v", got, err)
	}
	service.err, service.resp = nil, responseOf("2026-03-09", day.Add(2*maxAge))
	if err := r.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Convert(oneEuro, "USD"); got != twoUSD || err != nil || r.Date() != "2026-03-09" {
		t.Errorf("fresh rates: %v of %s, %v", got, r.Date(), err)
	}
}

// TestRemote_NoRatesYet: before the first response a price in another currency is refused with a retry hint, and one in its own passes.
func TestRemote_NoRatesYet(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := newRemoteOf(t, &remoteService{err: order.ErrUnavailable}, &now)
	var later *order.RetryError
	if _, err := r.Convert(oneEuro, "USD"); !errors.As(err, &later) || !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if got, err := r.Convert(oneEuro, "EUR"); got != oneEuro || err != nil {
		t.Errorf("without a rate: %v, %v", got, err)
	}
	if len(r.Codes()) != 0 || r.Date() != "" || !r.Expires().IsZero() {
		t.Errorf("%v, %q, %s", r.Codes(), r.Date(), r.Expires())
	}
}

// TestRemote_NonsenseIsRefused: rates that are not valid leave the last ones in use.
func TestRemote_NonsenseIsRefused(t *testing.T) {
	t.Parallel()
	now := time.Now()
	service := &remoteService{resp: responseOf("2026-03-02", time.Time{})}
	r := newRemoteOf(t, service, &now)
	if err := r.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, resp := range map[string]*spillwayv1.GetSupportedCurrenciesResponse{
		"no rates":   {RateDate: "2026-03-03"},
		"no date":    responseOf("", time.Time{}),
		"a 0":        {RateDate: "2026-03-03", EuroRates: []*spillwayv1.EuroRate{{CurrencyCode: "USD", Rate: "0"}}},
		"a negative": {RateDate: "2026-03-03", EuroRates: []*spillwayv1.EuroRate{{CurrencyCode: "USD", Rate: "-2"}}},
		"a line":     {RateDate: "2026-03-03", EuroRates: []*spillwayv1.EuroRate{{CurrencyCode: "USD", Rate: "2\nGBP,3"}}},
	} {
		service.resp = resp
		if err := r.read(t.Context()); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if got, err := r.Convert(oneEuro, "USD"); got != twoUSD || err != nil || r.Date() != "2026-03-02" {
		t.Errorf("%v of %s, %v", got, r.Date(), err)
	}
}
