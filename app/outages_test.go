package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	providers "github.com/spillway/spillway/payment/simulated"
	"github.com/spillway/spillway/shipping"
	carriers "github.com/spillway/spillway/shipping/simulated"
)

func TestOutages_LinesSetModes(t *testing.T) {
	o := &outages{provider: providers.New(), carrier: &carriers.Carrier{}}
	charge := func() error {
		_, err := o.provider.Charge(t.Context(), order.NewID(0, time.Now()), order.Money{Currency: "EUR", Amount: 1},
			payment.NewCard("4242424242424242", "123", 2099, 1))
		return err
	}
	ship := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return o.carrier.Ship(ctx, shipping.Parcel{OrderID: order.NewID(0, time.Now())})
	}
	for text, want := range map[string]struct{ charge, ship, apply bool }{
		"provider down\n":               {false, true, true},
		"carrier down\n":                {true, false, true},
		"provider down\ncarrier down\n": {false, false, true},
		"":                              {true, true, true},
		"provider asleep\n":             {true, true, false},
	} {
		if err := o.apply(text); (err == nil) != want.apply {
			t.Errorf("%q: %v", text, err)
		}
		if err := charge(); (err == nil) != want.charge || err != nil && !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("after %q a charge returned %v", text, err)
		}
		if err := ship(); (err == nil) != want.ship || err != nil && !errors.Is(err, order.ErrRejected) {
			t.Errorf("after %q a handover returned %v", text, err)
		}
	}
}
