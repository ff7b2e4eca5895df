package simulated

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping"
)

func TestCarrier_ParcelIsAcceptedOnce(t *testing.T) {
	var c Carrier
	p := shipping.Parcel{OrderID: newID()}
	for range 3 {
		if err := c.Ship(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.Parcels(); n != 1 || len(c.oldest) != 1 {
		t.Errorf("one order became %d parcels and %d records", n, len(c.oldest))
	}
}

func TestCarrier_Refuse(t *testing.T) {
	full := errors.New("no delivery")
	c := Carrier{Refuse: func(p shipping.Parcel) error {
		if p.To.CountryCode == "AQ" {
			return full
		}
		return nil
	}}
	if err := c.Ship(t.Context(), shipping.Parcel{OrderID: newID(), To: order.Address{CountryCode: "AQ"}}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := c.Ship(t.Context(), shipping.Parcel{OrderID: newID()}); err != nil || c.Parcels() != 1 {
		t.Errorf("%d parcels, %v", c.Parcels(), err)
	}
}

func TestCarrier_RefuseAfterAcceptance(t *testing.T) {
	c, p := Carrier{}, shipping.Parcel{OrderID: newID()}
	if err := c.Ship(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c.Refuse = func(shipping.Parcel) error { return errors.New("too heavy") }
	if err := c.Ship(t.Context(), p); err != nil {
		t.Errorf("an accepted parcel: %v", err)
	}
	if err := c.Ship(t.Context(), shipping.Parcel{OrderID: newID()}); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("a new parcel: %v; want ErrInvalid", err)
	}
}

func TestCarrier_Modes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Carrier
		for _, s := range []struct {
			mode    Mode
			err     error
			takes   time.Duration
			parcels int
		}{
			{Down, order.ErrRejected, 0, 0},
			{OK, nil, 0, 1},
			{Slow, nil, slowLatency, 2},
			{Late, context.DeadlineExceeded, 5 * time.Second, 3},
		} {
			c.SetMode(s.mode)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			p, began := shipping.Parcel{OrderID: newID()}, time.Now()
			err := c.Ship(ctx, p)
			if !errors.Is(err, s.err) || time.Since(began) != s.takes || c.Parcels() != s.parcels {
				t.Errorf("%s: %v after %s, %d parcels; want %v after %s, %d", s.mode, err, time.Since(began), c.Parcels(), s.err, s.takes, s.parcels)
			}
			cancel()
			if s.mode == Late { // The parcel was accepted, so a retry succeeds at once.
				if err := c.Ship(t.Context(), p); err != nil || time.Since(began) != s.takes || c.Parcels() != s.parcels {
					t.Errorf("retry: %v after %s, %d parcels", err, time.Since(began), c.Parcels())
				}
			}
		}
	})
}

func TestCarrier_CallerDeadline(t *testing.T) {
	c := Carrier{Latency: time.Hour}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := c.Ship(ctx, shipping.Parcel{OrderID: newID()}); !errors.Is(err, context.DeadlineExceeded) || c.Parcels() != 0 {
		t.Errorf("%d parcels, %v", c.Parcels(), err)
	}
}

func TestCarrier_DropsTheOldestParcel(t *testing.T) {
	var c Carrier
	for range maxParcels + 3 {
		if err := c.accept(t.Context(), shipping.Parcel{OrderID: newID()}); err != nil {
			t.Fatal(err)
		}
	}
	if c.Parcels() != maxParcels || len(c.oldest) != maxParcels {
		t.Errorf("%d parcels in memory", c.Parcels())
	}
}

func newID() order.ID { return order.NewID(0, time.Now()) }
