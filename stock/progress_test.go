package stock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/stock"
)

// TestProgress_KnowsWhatItFlushed: what another process flushed is to be looked up in SQL.
func TestProgress_KnowsWhatItFlushed(t *testing.T) {
	at := func(id string) stock.Position { return stock.Position{Epoch: 1, ID: id} }
	p := stock.NewProgress()
	p.Set(at("5-0"))
	p.Flushed(at("5-0"), at("7-0"))
	p.Flushed(at("7-0"), at("9-0"))
	wants := func(id string, want error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := p.Wait(ctx, at(id), "O"); !errors.Is(err, want) {
			t.Errorf("wait for %s: %v; want %v", id, err, want)
		}
	}
	wants("5-0", stock.ErrUnverified)
	wants("6-0", nil)
	wants("9-0", nil)
	wants("9-1", context.DeadlineExceeded)
	p.Set(at("8-0")) // Older than what is known.
	wants("9-0", nil)
	p.Set(at("12-0"))
	wants("9-0", stock.ErrUnverified) // It is known no more.
	wants("12-0", stock.ErrUnverified)
	p.Flushed(at("12-0"), at("13-0"))
	wants("12-0", stock.ErrUnverified)
	wants("13-0", nil)
	p.Refuse("O")
	wants("13-0", stock.ErrStepNotApplied)
	if err := p.Wait(t.Context(), at("5-0"), ""); err != nil {
		t.Errorf("wait for a place alone: %v", err)
	}
	p.Flushed(stock.Position{Epoch: 2, ID: "0-0"}, stock.Position{Epoch: 2, ID: "1-0"})
	if err := p.Wait(t.Context(), stock.Position{Epoch: 2, ID: "1-0"}, "P"); err != nil {
		t.Errorf("wait in the next epoch: %v", err)
	}
}
