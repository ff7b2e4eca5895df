package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/currency"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Rates are the rates of one day.
type Rates interface {
	Converter
	Codes() []order.Currency
	Date() string
	// Rates are units of each currency for one euro, without the euro.
	Rates() []currency.Rate
	// Expires is when they become too old to be used; the zero time when they may be of any age.
	Expires() time.Time
}

// Currency is the CurrencyService.
type Currency struct{ Rates Rates }

// GetSupportedCurrencies lists the currencies.
func (c Currency) GetSupportedCurrencies(_ context.Context, req *spillwayv1.GetSupportedCurrenciesRequest) (*spillwayv1.GetSupportedCurrenciesResponse, error) {
	resp := &spillwayv1.GetSupportedCurrenciesResponse{RateDate: c.Rates.Date()}
	for _, code := range c.Rates.Codes() {
		resp.CurrencyCodes = append(resp.CurrencyCodes, string(code))
	}
	if req.GetIncludeRates() {
		for _, r := range c.Rates.Rates() {
			resp.EuroRates = append(resp.EuroRates, &spillwayv1.EuroRate{CurrencyCode: string(r.Code), Rate: r.Units})
		}
	}
	if at := c.Rates.Expires(); !at.IsZero() {
		resp.RateExpireTime = timestamppb.New(at)
	}
	return resp, nil
}

// Convert changes an amount into another currency.
func (c Currency) Convert(_ context.Context, req *spillwayv1.ConvertRequest) (*spillwayv1.ConvertResponse, error) {
	from, err := wire.FromMoney(req.GetFrom())
	if err != nil {
		return nil, inField("from", err)
	}
	to, err := c.Rates.Convert(from, order.Currency(req.GetToCode()))
	if err != nil {
		return nil, inField("toCode", err)
	}
	return &spillwayv1.ConvertResponse{Money: wire.Money(to), RateDate: c.Rates.Date()}, nil
}
