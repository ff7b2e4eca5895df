package chaos

import (
	"fmt"
	"strings"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// attempt is one idempotency key and all responses of its client. One goroutine writes it; it is read when that is done.
type attempt struct {
	who   order.CustomerID
	key   string
	card  string // empty: paid later, or never
	lines []*spillwayv1.Line
	began time.Time

	id        order.ID // empty: no order acknowledged
	last      order.State
	ackedAt   time.Time         // time of the first acknowledgement of that state
	lost      []acknowledgement // acknowledged and lost by the shop
	replaced  []acknowledgement // acknowledged, and placed again in SQL with the same key
	cancelled bool              // the client asked for that
	notes     []note
}

// note is one answer, with how often it came in a row.
type note struct {
	first, last time.Time
	times       int
	call, text  string
}

func (a *attempt) note(call, text string) {
	now := time.Now()
	if n := len(a.notes); n > 0 && a.notes[n-1].call == call && a.notes[n-1].text == text {
		a.notes[n-1].last = now
		a.notes[n-1].times++
		return
	}
	a.notes = append(a.notes, note{first: now, last: now, times: 1, call: call, text: text})
}

// clock is how times are shown: those of SQL and of the logs are UTC too.
const clock = "15:04:05.000"

func (a *attempt) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "client %s, key %s, card %q, lines %v, began %s\n", a.who, a.key, a.card, a.lines, a.began.UTC().Format(clock))
	for _, n := range a.notes {
		fmt.Fprintf(&out, "  %s  %s: %s", n.first.UTC().Format(clock), n.call, n.text)
		if n.times > 1 {
			fmt.Fprintf(&out, " (%d times until %s)", n.times, n.last.UTC().Format(clock))
		}
		out.WriteByte('\n')
	}
	return out.String()
}
