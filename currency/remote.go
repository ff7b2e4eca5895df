package currency

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/wire"
)

// firstRetry is the time between two requests while a process has no rates yet.
const firstRetry = time.Second

// separators are the characters between the values of a file with rates.
const separators = ",\r\n"

// Remote follows the rates of a CurrencyService behind a URL: it reads them once a minute and converts in this process, so that a price needs no call. While the
// service is down the last rates stay in use until they are too old. It is safe for concurrent use.
type Remote struct {
	service spillwayv1connect.CurrencyServiceClient
	policy  *breaker.Policy
	known   *Table
	current atomic.Pointer[remoteRates]
	log     *slog.Logger
	now     func() time.Time
}

// remoteRates are the rates of a response.
type remoteRates struct {
	*Table

	expires time.Time // zero if they may be of any age
}

// NewRemote returns rates that are unavailable until Run has read them.
func NewRemote(service spillwayv1connect.CurrencyServiceClient, policy *breaker.Policy, log *slog.Logger) (*Remote, error) {
	known, err := Load()
	if err != nil {
		return nil, err
	}
	return &Remote{service: service, policy: policy, known: known, log: log, now: time.Now}, nil
}

// Date returns the day of the rates, as YYYY-MM-DD; empty before they are read.
func (r *Remote) Date() string {
	if rates := r.current.Load(); rates != nil {
		return rates.Date()
	}
	return ""
}

// Codes returns the currencies, sorted; none before the rates are read.
func (r *Remote) Codes() []order.Currency {
	if rates := r.current.Load(); rates != nil {
		return rates.Codes()
	}
	return nil
}

// Rates returns the rates; none before they are read.
func (r *Remote) Rates() []Rate {
	if rates := r.current.Load(); rates != nil {
		return rates.Rates()
	}
	return nil
}

// Expires returns the time when the rates become too old; zero if they may be of any age.
func (r *Remote) Expires() time.Time {
	if rates := r.current.Load(); rates != nil {
		return rates.expires
	}
	return time.Time{}
}

// Convert is Live.Convert. It returns order.ErrUnavailable before the rates are read. An amount in the target currency needs none.
func (r *Remote) Convert(m order.Money, to order.Currency) (order.Money, error) {
	rates := r.current.Load()
	if rates == nil {
		if m.Currency == to {
			return r.known.Convert(m, to)
		}
		return order.Money{}, &order.RetryError{After: firstRetry, Err: fmt.Errorf("no exchange rates yet: %w", order.ErrUnavailable)}
	}
	out, err := rates.Convert(m, to)
	if err == nil && m.Currency != to && !rates.expires.IsZero() && r.now().After(rates.expires) {
		err = &order.RatesTooOldError{Date: rates.Date(), MaxAge: rates.expires.Sub(rates.date)}
	}
	if err != nil {
		return order.Money{}, err
	}
	return out, nil
}

// Run reads the rates at once, and then once a minute, until ctx ends.
func (r *Remote) Run(ctx context.Context) {
	for problem := ""; ; {
		err := r.read(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != problem {
			r.log.WarnContext(ctx, "failed to read the exchange rates of the currency service", "rate_date", r.Date(), "error", err)
		}
		problem = ""
		if err != nil {
			problem = err.Error()
		}
		wait := pollInterval
		if r.current.Load() == nil {
			wait = firstRetry
		}
		if pause.For(ctx, wait) != nil {
			return
		}
	}
}

// read requests the rates, and validates them like those of a file.
func (r *Remote) read(ctx context.Context) error {
	resp, err := breaker.Call(ctx, r.policy, func(ctx context.Context) (*spillwayv1.GetSupportedCurrenciesResponse, error) {
		resp, err := r.service.GetSupportedCurrencies(ctx, &spillwayv1.GetSupportedCurrenciesRequest{IncludeRates: true})
		return resp, wire.FromConnect(err)
	})
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s,%s\n%s,%s\n", baseLine, euro, dateLine, resp.GetRateDate())
	for _, rate := range resp.GetEuroRates() {
		if strings.ContainsAny(rate.GetCurrencyCode()+rate.GetRate(), separators) {
			return fmt.Errorf("the currency service returned the rate %q of %q: %w", rate.GetRate(), rate.GetCurrencyCode(), order.ErrUnavailable)
		}
		fmt.Fprintf(&text, "%s,%s\n", rate.GetCurrencyCode(), rate.GetRate())
	}
	table, err := parse(text.String(), r.known.rates)
	if err != nil {
		return fmt.Errorf("the currency service, which may be of an older version: %w", err)
	}
	rates := &remoteRates{Table: table}
	if at := resp.GetRateExpireTime(); at != nil {
		rates.expires = at.AsTime()
	}
	if before := r.current.Swap(rates); before == nil || before.Date() != rates.Date() {
		r.log.InfoContext(ctx, "exchange rates loaded from the currency service", "rate_date", rates.Date(), "currencies", len(table.rates))
	}
	return nil
}
