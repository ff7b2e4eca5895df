package order_test

import (
	"slices"
	"testing"

	"github.com/spillway/spillway/order"
)

// FuzzParseDeltas checks that whatever parses has one form, which parses to the same deltas.
func FuzzParseDeltas(f *testing.F) {
	f.Add("MUG:-2,PEN:1")
	f.Add("MUG:+02")
	f.Add("MUG")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		deltas, err := order.ParseDeltas(text)
		if err != nil {
			return
		}
		again, err := order.ParseDeltas(order.FormatDeltas(deltas))
		if err != nil || !slices.Equal(again, deltas) {
			t.Errorf("%q gives %v, and that gives %v, %v", text, deltas, again, err)
		}
	})
}
