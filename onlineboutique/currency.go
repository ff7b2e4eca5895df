package onlineboutique

import (
	"context"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// currencies is the CurrencyService.
type currencies struct{ Shop }

// GetSupportedCurrencies lists the currencies.
func (c currencies) GetSupportedCurrencies(ctx context.Context, _ *hipstershop.Empty) (*hipstershop.GetSupportedCurrenciesResponse, error) {
	resp, err := c.Currency.GetSupportedCurrencies(ctx, &spillwayv1.GetSupportedCurrenciesRequest{})
	return &hipstershop.GetSupportedCurrenciesResponse{CurrencyCodes: resp.GetCurrencyCodes()}, err
}

// Convert converts an amount, which is rounded to the minor unit of its currency before: clients of this interface calculate with nanos.
func (c currencies) Convert(ctx context.Context, req *hipstershop.CurrencyConversionRequest) (*hipstershop.Money, error) {
	resp, err := call(ctx, c.Currency.Convert, &spillwayv1.ConvertRequest{From: roundedMoney(req.GetFrom()), ToCode: req.GetToCode()})
	if err != nil {
		return nil, err
	}
	return moneyMessage(resp.GetMoney()), nil
}
