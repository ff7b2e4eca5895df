package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	fightUnits    = 100
	fightBuyers   = 64
	fightAttempts = 5000
	// giveUp bounds the retries of one attempt: longer than a process is frozen while other parts go, come back, and take over, on a busy machine.
	giveUp = 3 * time.Minute
	// retryEvery is a client's pause before it sends the same request again. In a fight it grows up to retryMost, so that the retries of all buyers leave
	// the machine to what is being repaired.
	retryEvery = 50 * time.Millisecond
	retryMost  = 400 * time.Millisecond
	// reconcileAfter is --reconcile-after of a shop without the flag.
	reconcileAfter = 30 * time.Second
)

// fight is many buyers after one SKU.
type fight struct {
	*shop
	sku string
	// units are for sale; the buyers make so many tries, with a pause after each.
	units, tries int
	pause        time.Duration
	// buyers is their number.
	buyers int
	// doors are the shops that the buyers use by turns; all have one database.
	doors []*shop
	// listed reports whether a violation is one that the audit may list; nil allows none.
	listed func(auditFinding) bool
	// forgets means that an acknowledged order may be lost, so that its retry makes another one.
	forgets bool
	// once means that a client never repeats a request with a definite answer.
	once bool
	// observe gets each response, with the time that the call took; nil for none.
	observe func(r reply, err error, took time.Duration)

	mu       sync.Mutex
	attempts int
	paid     map[string]bool // the orders that were answered as paid
	pending  map[string]bool
	soldOut  int
	unknown  int // attempts that got no definite answer at all
	over     bool
	moved    chan struct{}
}

// unsettledCodes are the reasons of the payment reconciler: it voided the charge, or found that it had voided it before it could cancel the order.
var unsettledCodes = []string{"CANCEL_CODE_PAYMENT_UNKNOWN", "CANCEL_CODE_PAYMENT_VOIDED"}

func newFight(s *shop) *fight {
	return &fight{
		shop: s, sku: s.product(fightUnits), units: fightUnits, tries: fightAttempts, buyers: fightBuyers, doors: []*shop{s},
		paid: map[string]bool{}, pending: map[string]bool{}, moved: make(chan struct{}),
	}
}

// run lets the buyers loose while trouble makes some, and returns when all attempts are made. Trouble has the test's own goroutine: when
// it fails the test, as where a server does not come back, the buyers stop after the call that they are in.
func (f *fight) run(trouble func()) {
	f.t.Helper()
	tokens := make([]string, f.buyers) // before anything is killed
	for b := range tokens {
		tokens[b] = f.guest()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		if f.t.Failed() {
			f.stop()
		}
	}()
	for b, token := range tokens {
		wg.Go(func() {
			for i := 0; f.next(); i++ {
				f.attempt(f.doors[b%len(f.doors)], token, fmt.Sprintf("%d-%d", b, i))
				<-time.After(f.pause)
			}
		})
	}
	trouble()
}

func (f *fight) next() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempts++
	return f.attempts <= f.tries && !f.over
}

func (f *fight) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

func (f *fight) stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// attempt places one order, with retries by the same key until the answer is definite, and sometimes once more after it: every
// answer must name the same order.
func (f *fight) attempt(door *shop, token, key string) {
	var id string
	begin, pause := time.Now(), retryEvery
	more := rand.IntN(3) // how many times a client retries
	if f.once {
		more = 0
	}
	for {
		began := time.Now()
		r, err := door.call("CheckoutService/PlaceOrder", token, orderBody(f.sku, 1, goodCard), "Idempotency-Key", key)
		if f.observe != nil {
			f.observe(r, err, time.Since(began))
		}
		if id != "" && err == nil && r.Status == http.StatusOK && r.Order.ID != id && !f.forgets {
			f.t.Errorf("key %s got order %s and order %s", key, id, r.Order.ID)
		}
		definite := err == nil && (r.Status == http.StatusOK || r.Code == "failed_precondition")
		switch {
		case definite:
			f.answered(r, time.Since(begin) >= door.reconcilesAfter())
			id = r.Order.ID
		case err == nil && r.Code != "unavailable" && r.Code != "resource_exhausted":
			f.t.Errorf("key %s got %d %s", key, r.Status, r.Raw)
			return
		case err == nil && r.Header.Get("Retry-After") == "":
			f.t.Errorf("key %s got %s without a retry hint", key, r.Raw)
		}
		if definite && (more == 0 || id == "") {
			return
		}
		if definite {
			more--
		}
		if f.stopped() {
			return
		}
		if time.Since(begin) > giveUp {
			f.gaveUp(key, r, err)
			return
		}
		if !definite {
			<-time.After(pause)
			pause = min(2*pause, retryMost)
		}
	}
}

// gaveUp counts an attempt without a definite answer. The first one logs what it got instead, and ends the fight: the others would wait as
// long each.
func (f *fight) gaveUp(key string, r reply, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unknown++; f.unknown == 1 {
		f.t.Errorf("key %s got no definite answer within %s; the last one: %d %s (%v)", key, giveUp, r.Status, r.Raw, err)
	}
	f.over = true
}

// answered counts a definite response. An order may be cancelled that is late: it was placed --reconcile-after ago, and its payment has no outcome yet, as
// where its process was frozen, a server away, or the machine busy with something else.
func (f *fight) answered(r reply, late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.Order.State {
	case "":
		f.soldOut++
	case "ORDER_STATE_PENDING":
		f.pending[r.Order.ID] = true
	case "ORDER_STATE_CANCELLED":
		if late && slices.Contains(unsettledCodes, r.Order.CancelCode) {
			delete(f.pending, r.Order.ID)
			break
		}
		f.t.Errorf("an order was cancelled: %s", r.Raw)
	default:
		delete(f.pending, r.Order.ID)
		f.paid[r.Order.ID] = true
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

// whenPaid returns once that many orders were answered as paid, or no more come.
func (f *fight) whenPaid(n int) {
	limit := time.After(giveUp)
	for {
		f.mu.Lock()
		enough, moved := len(f.paid) >= n || f.soldOut > f.units, f.moved
		f.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-moved:
		case <-limit:
			f.t.Fatalf("waited %s in vain for %d orders to be answered as paid", giveUp, n)
		}
	}
}

const (
	// drainTime bounds the drain after a kill: what the killed relay and the killed workers held comes again when their leases have run out, after 15 s and
	// 30 s, one after the other, what the queue lost is repaired after a minute, and a busy machine takes several times as long.
	drainTime = 4 * time.Minute
	// auditWait is for how long an audit waits until all is drained, which it usually is by then.
	auditWait = "2m"
)
