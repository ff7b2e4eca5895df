package shipping

import (
	"context"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// Local prices parcels by a Service in this process, under a breaker policy: what Client.Quote does, without messages and without a timer,
// because Service.GetQuote computes and waits for nothing. It is safe for concurrent use.
type Local struct {
	Service Service
	Policy  *breaker.Policy
}

// Quote returns what Client.Quote returns.
func (l Local) Quote(ctx context.Context, to order.Address, items []order.Demand, currency order.Currency) (order.Money, error) {
	return breaker.CallLocal(ctx, l.Policy, l.Policy, func(context.Context) (order.Money, error) {
		summed, err := order.SumDemand(items)
		if err != nil {
			return order.Money{}, order.InField("lines", err)
		}
		return l.Service.quote(to, summed, currency)
	})
}
