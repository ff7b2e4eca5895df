package onlineboutique

import (
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

func TestRoundedMoney(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		currency string
		units    int64
		nanos    int32
		wantU    int64
		wantN    int32
		invalid  bool
	}{
		{"USD", 1, 994_999_999, 1, 990_000_000, false},
		{"USD", 1, 995_000_000, 2, 0, false},
		{"USD", -1, -995_000_000, -2, 0, false},
		{"USD", 0, -4_999_999, 0, 0, false},
		{"USD", 0, 5_000_000, 0, 10_000_000, false},
		{"JPY", 19, 500_000_000, 20, 0, false},
		{"JPY", 19, 499_999_999, 19, 0, false},
		{"USD", 1, 1_000_000_000, 1, 1_000_000_000, false}, // The rules of the request refuse it.
		{"USD", 1, -10_000_000, 1, -10_000_000, true},
		{"USD", math.MaxInt64, 999_999_999, math.MinInt64, 0, true},
	} {
		got := roundedMoney(&hipstershop.Money{CurrencyCode: c.currency, Units: c.units, Nanos: c.nanos})
		want := &spillwayv1.Money{CurrencyCode: c.currency, Units: c.wantU, Nanos: c.wantN}
		if !proto.Equal(got, want) {
			t.Errorf("%d.%09d %s is rounded to %v, want %v", c.units, c.nanos, c.currency, got, want)
		}
		if _, err := wire.FromMoney(got); errors.Is(err, order.ErrInvalid) != c.invalid {
			t.Errorf("%v: %v", got, err)
		}
	}
}

func TestAddressOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		country  string
		zip      int32
		wantCode string
		wantZip  string
	}{
		{"United States", 94043, "US", "94043"},
		{" usa ", 2108, "US", "02108"},
		{"de", 1067, "DE", "01067"},
		{"Türkiye", 6000, "TR", "6000"},
		{"Ireland", 0, "IE", ""},
	} {
		got, err := addressOf(&hipstershop.Address{Country: c.country, ZipCode: c.zip}, "name")
		if err != nil || got.GetCountryCode() != c.wantCode || got.GetPostalCode() != c.wantZip || got.GetName() != "name" {
			t.Errorf("%q %d: %v, %v; want %s %s", c.country, c.zip, got, err, c.wantCode, c.wantZip)
		}
	}
	for _, bad := range []*hipstershop.Address{{}, {Country: "Atlantis"}, {Country: ";"}, {Country: "DE", ZipCode: -1}} {
		if got, err := addressOf(bad, "name"); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%v: %v, %v; want ErrInvalid", bad, got, err)
		}
	}
}

func TestCountryCodes(t *testing.T) {
	t.Parallel()
	codes := map[string]bool{}
	for name, code := range countryCodes() {
		if codes[code] = true; len(code) != 2 || name == "" {
			t.Errorf("%q has the code %q", name, code)
		}
	}
	if got := slices.Sorted(maps.Keys(codes)); !slices.Equal(got, order.Countries()) {
		t.Errorf("the countries are %v; want those of which orders are taken: %v", got, order.Countries())
	}
}

func TestHasCheckDigit(t *testing.T) {
	t.Parallel()
	for digits, want := range map[string]bool{"4432801561520454": true, "4242424242424242": true, "378282246310005": true, "4432801561520455": false} {
		if got := hasCheckDigit(digits); got != want {
			t.Errorf("%s: %v, want %v", digits, got, want)
		}
	}
}
