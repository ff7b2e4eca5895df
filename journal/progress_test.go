package journal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
)

// TestProgress_KnowsWhatItFlushed: what another process flushed is to be looked up in SQL.
func TestProgress_KnowsWhatItFlushed(t *testing.T) {
	at := func(id string) journal.Offset { return journal.Offset{Epoch: 1, ID: id} }
	p := journal.NewProgress()
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
	wants("5-0", journal.ErrUnverified)
	wants("6-0", nil)
	wants("9-0", nil)
	wants("9-1", context.DeadlineExceeded)
	p.Set(at("8-0")) // Older than what is known.
	wants("9-0", nil)
	p.Set(at("12-0"))
	wants("9-0", journal.ErrUnverified) // It is known no more.
	wants("12-0", journal.ErrUnverified)
	p.Flushed(at("12-0"), at("13-0"))
	wants("12-0", journal.ErrUnverified)
	wants("13-0", nil)
	p.MarkNotApplied("O")
	wants("13-0", journal.ErrStepNotApplied)
	if err := p.Wait(t.Context(), at("5-0"), ""); err != nil {
		t.Errorf("wait for an offset alone: %v", err)
	}
	p.Flushed(journal.Offset{Epoch: 2, ID: "0-0"}, journal.Offset{Epoch: 2, ID: "1-0"})
	if err := p.Wait(t.Context(), journal.Offset{Epoch: 2, ID: "1-0"}, "P"); err != nil {
		t.Errorf("wait in the next epoch: %v", err)
	}
}
