package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
)

func TestAParcelIsTakenOnce(t *testing.T) {
	var c SimulatedCarrier
	p := Parcel{OrderID: newID()}
	for range 3 {
		if err := c.Ship(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.Parcels(); n != 1 || len(c.oldest) != 1 {
		t.Errorf("one order became %d parcels, remembered %d times", n, len(c.oldest))
	}
}

func TestACarrierThatRefusesTakesNothing(t *testing.T) {
	full := errors.New("the van is full")
	c := SimulatedCarrier{Refuse: func(p Parcel) error {
		if p.To.CountryCode == "AQ" {
			return full
		}
		return nil
	}}
	if err := c.Ship(t.Context(), Parcel{OrderID: newID(), To: order.Address{CountryCode: "AQ"}}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := c.Ship(t.Context(), Parcel{OrderID: newID()}); err != nil || c.Parcels() != 1 {
		t.Errorf("%d parcels, %v", c.Parcels(), err)
	}
}

func TestACarrierThatHasAParcelDoesNotRefuseIt(t *testing.T) {
	c, p := SimulatedCarrier{}, Parcel{OrderID: newID()}
	if err := c.Ship(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c.Refuse = func(Parcel) error { return errors.New("too heavy") }
	if err := c.Ship(t.Context(), p); err != nil {
		t.Errorf("a parcel that it has: %v", err)
	}
	if err := c.Ship(t.Context(), Parcel{OrderID: newID()}); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("one that it does not have: %v; want ErrInvalid", err)
	}
}

func TestACarrierFaresAsItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c SimulatedCarrier
		for _, s := range []struct {
			mode    CarrierMode
			err     error
			takes   time.Duration
			parcels int
		}{
			{CarrierDown, order.ErrRejected, 0, 0},
			{CarrierOK, nil, 0, 1},
			{CarrierSlow, nil, slowLatency, 2},
			{CarrierLate, context.DeadlineExceeded, 5 * time.Second, 3},
		} {
			c.SetMode(s.mode)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			p, began := Parcel{OrderID: newID()}, time.Now()
			err := c.Ship(ctx, p)
			if !errors.Is(err, s.err) || time.Since(began) != s.takes || c.Parcels() != s.parcels {
				t.Errorf("%s: %v after %s, %d parcels; want %v after %s, %d", s.mode, err, time.Since(began), c.Parcels(), s.err, s.takes, s.parcels)
			}
			cancel()
			if s.mode == CarrierLate { // It has the parcel, and says so when it is asked again.
				if err := c.Ship(t.Context(), p); err != nil || time.Since(began) != s.takes || c.Parcels() != s.parcels {
					t.Errorf("asked again: %v after %s, %d parcels", err, time.Since(began), c.Parcels())
				}
			}
		}
	})
}

func TestASlowCarrierIsNotWaitedForLonger(t *testing.T) {
	c := SimulatedCarrier{Latency: time.Hour}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := c.Ship(ctx, Parcel{OrderID: newID()}); !errors.Is(err, context.DeadlineExceeded) || c.Parcels() != 0 {
		t.Errorf("%d parcels, %v", c.Parcels(), err)
	}
}

func TestTheCarrierForgetsTheOldest(t *testing.T) {
	var c SimulatedCarrier
	for range parcelsMax + 3 {
		c.take(newID())
	}
	if c.Parcels() != parcelsMax || len(c.oldest) != parcelsMax {
		t.Errorf("it remembers %d parcels", c.Parcels())
	}
}

func TestTrackingIDsAreOneToAnOrder(t *testing.T) {
	a, b := newID(), newID()
	first, again := NewTrackingID(a), NewTrackingID(a)
	if first != again || first == NewTrackingID(b) {
		t.Error("a tracking id must be the order's own, and the same each time")
	}
}

func TestShippingCost(t *testing.T) {
	one := []order.Demand{{SKU: "A", Quantity: 1}}
	for _, c := range []struct {
		country string
		items   []order.Demand
		want    order.Cents
	}{
		{"US", one, 548},  // 4.99 + 0.49
		{"DE", one, 948},  // 8.99 + 0.49
		{"SK", one, 948},  // the last of the Union's members
		{"GB", one, 1348}, // 12.99 + 0.49
		{"", one, 1348},
		{"us", one, 1348},
		{"US", []order.Demand{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 3}}, 744}, // 4.99 + 5 × 0.49
		{"US", []order.Demand{{SKU: "A", Quantity: 20}}, 1479},                        // 4.99 + 20 × 0.49
		{"US", []order.Demand{{SKU: "A", Quantity: 21}}, 1479},                        // from here on the shop pays
		{"JP", []order.Demand{{SKU: "A", Quantity: order.MaxQuantity}, {SKU: "B", Quantity: order.MaxQuantity}}, 2279},
	} {
		got := ShippingCost(order.Address{CountryCode: c.country}, c.items)
		if got != (order.Money{Currency: "USD", Amount: c.want}) {
			t.Errorf("%v to %q costs %v; want %d cents", c.items, c.country, got, c.want)
		}
	}
}
