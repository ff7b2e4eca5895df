package journal_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// TestProgress_Stalled: callers that wait for a SQL that applies nothing are told so soon, as are those that come later, until it goes on.
func TestProgress_Stalled(t *testing.T) {
	at := func(epoch int64, id string) journal.Offset { return journal.Offset{Epoch: epoch, ID: id} }
	for what, goOn := range map[string]func(p *journal.Progress){
		"another process flushes": func(p *journal.Progress) { p.Set(at(1, "9-0")) },
		"this one flushes":        func(p *journal.Progress) { p.Flushed(at(1, "5-0"), at(1, "9-0")) },
		"the epoch ends":          func(p *journal.Progress) { p.Set(at(2, "0-0")) },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := journal.NewProgress()
				p.Set(at(1, "5-0"))
				<-time.After(time.Hour)
				if err := p.Ready(); err != nil {
					t.Errorf("while nobody waits: %v", err)
				}
				began := time.Now()
				if err := p.Wait(t.Context(), at(1, "9-0"), "O"); !errors.Is(err, journal.ErrStalled) || time.Since(began) > 6*time.Second {
					t.Errorf("the wait ended after %s with %v; want ErrStalled", time.Since(began), err)
				}
				var retry *order.RetryError
				if err := p.Ready(); !errors.Is(err, order.ErrUnavailable) || !errors.As(err, &retry) {
					t.Errorf("then: %v; want unavailable with a retry hint", err)
				}
				p.Set(at(1, "5-0")) // It was read again.
				began = time.Now()
				if err := p.Wait(t.Context(), at(1, "8-0"), "P"); !errors.Is(err, journal.ErrStalled) || time.Since(began) > 0 {
					t.Errorf("the next wait ended after %s with %v; want ErrStalled at once", time.Since(began), err)
				}
				goOn(p)
				if err := p.Ready(); err != nil {
					t.Errorf("after it went on: %v", err)
				}
			})
		})
	}
}

// TestProgress_SlowIsNotStalled: while SQL applies entries, those that come later are waited for.
func TestProgress_SlowIsNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := journal.NewProgress()
		ids := []string{"1-0", "2-0", "3-0", "4-0", "5-0"}
		go func() {
			for _, id := range ids {
				<-time.After(3 * time.Second)
				p.Set(journal.Offset{Epoch: 1, ID: id})
			}
		}()
		if err := p.Wait(t.Context(), journal.Offset{Epoch: 1, ID: ids[len(ids)-1]}, ""); err != nil {
			t.Errorf("got %v", err)
		}
		if err := p.Ready(); err != nil {
			t.Errorf("at the end: %v", err)
		}
	})
}
