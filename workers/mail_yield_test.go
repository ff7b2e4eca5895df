package workers_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

const turn = 500

// fakeBacklog is an outbox from which each lease takes a turn of mails. It records when.
type fakeBacklog struct {
	workers.DueMails
	leased []time.Time
}

func (f *fakeBacklog) LeaseDue(_ context.Context, limit int, _ time.Duration) ([]store.DueMail, error) {
	f.leased = append(f.leased, time.Now())
	due := make([]store.DueMail, limit)
	for i := range due {
		due[i] = store.DueMail{OrderID: "O", Kind: order.MailShipped}
	}
	return due, nil
}

func (*fakeBacklog) DropDue(context.Context, []int64) error { return nil }

func (*fakeBacklog) PostponeDue(context.Context, []int64, time.Time) error { return nil }

func (*fakeBacklog) ForMails(context.Context, []order.ID) (map[order.ID]order.Order, error) {
	return map[order.ID]order.Order{"O": {ID: "O"}}, nil
}

// sendUnderLoad runs a dispatcher with a backlog for the given time. The order path is busy as often as busy says. It returns when the
// dispatcher leased mails, from the beginning.
func sendUnderLoad(t *testing.T, limit int, yield, busy, whole time.Duration) (leased []time.Duration) {
	return tryUnderLoad(t, &fakeMailClient{delay: 10 * time.Millisecond}, limit, yield, busy, whole)
}

// tryUnderLoad is sendUnderLoad with another client.
func tryUnderLoad(t *testing.T, client workers.MailClient, limit int, yield, busy, whole time.Duration) (leased []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, cfg, activity := &fakeBacklog{}, workers.DefaultDispatchConfig(), &workers.Activity{}
		cfg.Mails = limit
		d := workers.NewMailDispatcher(cfg, f, f, client, noLog).
			WithYield(workers.MailYield{Activity: activity, Max: yield})
		ctx, stop := context.WithTimeout(t.Context(), whole)
		defer stop()
		began := time.Now()
		if busy > 0 {
			tick := time.NewTicker(busy)
			defer tick.Stop()
			activity.Mark()
			go func() {
				for {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						activity.Mark()
					}
				}
			}()
		}
		d.Run(ctx)
		synctest.Wait()
		for _, at := range f.leased {
			leased = append(leased, at.Sub(began))
		}
	})
	return leased
}

// TestMailYield_OneTurnAfterEachWait: under a load that does not end, mails go on, a turn every two seconds.
func TestMailYield_OneTurnAfterEachWait(t *testing.T) {
	leased := sendUnderLoad(t, turn, 2*time.Second, 100*time.Millisecond, 9*time.Second)
	if len(leased) != 5 {
		t.Fatalf("leased at %v; want five times in 9 s", leased)
	}
	for i, at := range leased {
		if want := time.Duration(i) * 2 * time.Second; at < want || at > want+200*time.Millisecond {
			t.Errorf("turn %d began at %s; want %s", i, at, want)
		}
	}
}

// fakeFirstFailsMailClient sends all mails of a call but the first.
type fakeFirstFailsMailClient struct{ fakeMailClient }

func (f *fakeFirstFailsMailClient) Send(ctx context.Context, mails []order.Mail) []error {
	errs := f.fakeMailClient.Send(ctx, mails)
	errs[0] = errMailDown
	return errs
}

// TestMailYield_MailsThatFail: they take CPU, too, so that they are part of the turn.
func TestMailYield_MailsThatFail(t *testing.T) {
	for name, client := range map[string]workers.MailClient{
		"one": &fakeFirstFailsMailClient{fakeMailClient{delay: 10 * time.Millisecond}},
		"all": &fakeMailClient{delay: 10 * time.Millisecond, err: errMailDown},
	} {
		leased := tryUnderLoad(t, client, turn, 2*time.Second, 100*time.Millisecond, 9*time.Second)
		if len(leased) > 5 {
			t.Errorf("%s fails: leased at %v; want at most five times in 9 s", name, leased)
		}
	}
}

// TestMailYield_ATurnIsManyIterations: small iterations do not wait one by one.
func TestMailYield_ATurnIsManyIterations(t *testing.T) {
	leased := sendUnderLoad(t, turn/10, 2*time.Second, 100*time.Millisecond, time.Second)
	if len(leased) != 10 {
		t.Errorf("leased at %v; want ten times in the first second", leased)
	}
}

func TestMailYield_IdleOrderPath(t *testing.T) {
	if leased := sendUnderLoad(t, turn, 2*time.Second, 0, time.Second); len(leased) < 90 {
		t.Errorf("leased %d times in a second of 10 ms each", len(leased))
	}
}

// TestMailYield_EndOfTheLoad: the mails that are left go on 300 ms after the last order.
func TestMailYield_EndOfTheLoad(t *testing.T) {
	leased := sendUnderLoad(t, turn, time.Hour, 10*time.Hour, time.Second) // Busy once, at the beginning.
	if len(leased) < 60 || leased[1] < 300*time.Millisecond || leased[1] > 400*time.Millisecond {
		t.Errorf("leased %d times; the second at %s", len(leased), leased[1])
	}
}

func TestMailYield_Never(t *testing.T) {
	if leased := sendUnderLoad(t, turn, 0, 100*time.Millisecond, time.Second); len(leased) < 90 {
		t.Errorf("leased %d times in a second of 10 ms each", len(leased))
	}
}
