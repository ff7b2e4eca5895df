package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

const (
	// drainTime bounds the drain. What a killed worker held comes again when its lease of up to 60 s ends, and what then finds its order
	// not written yet, after one more. An order with a lost message is repaired after a minute, and its confirmation, if that
	// was lost too, two minutes after the order came to its end.
	drainTime = 6 * time.Minute
	// drainPoll is the pause between two looks, and drainLooks how many in a row must find nothing: something late must not come after.
	drainPoll  = time.Second
	drainLooks = 3
	// queryTimeout bounds one check against SQL.
	queryTimeout = 30 * time.Second
	// logInterval is the time between two log lines of what a long drain waits for, if that has changed.
	logInterval = 10 * time.Second
	// maxHistories bounds the orders that a failure prints in full.
	maxHistories = 5
)

// violation is something that breaks a rule.
type violation struct{ rule, who, detail string }

func (f violation) String() string { return fmt.Sprintf("%s: %s: %s", f.rule, f.who, f.detail) }

// rule is a query for what breaks it: who, and what is wrong.
type rule struct{ name, query string }

// The states in SQL: orders 0 pending, 1 paid, 2 cancelled, 3 shipped, 4 ship_failed; charges 1 pending, 2 succeeded, 3 declined,
// 4 voided, 5 refunded, 6 refunding.
var rules = []rule{
	{"every order ends shipped or cancelled", `SELECT id, CONCAT('it is in state ', state, ' since ', updated_at) FROM orders WHERE state NOT IN (2, 3)`},
	{
		"what is sold is charged once, in full",
		`SELECT o.id, CONCAT_WS(' ', 'total', o.total, o.currency, 'charge', c.state, c.amount, c.currency, 'refund', r.amount)
		FROM orders o LEFT JOIN charges c ON c.order_id = o.id LEFT JOIN refunds r ON r.order_id = o.id
		WHERE o.state IN (1, 3, 4) AND (c.order_id IS NULL OR c.state <> 2 OR c.amount <> o.total OR c.currency <> o.currency OR r.refund_id IS NOT NULL)`,
	},
	{"what is cancelled costs nothing", `SELECT o.id, CONCAT_WS(' ', 'charge', c.state, c.amount, 'refund', r.amount)
		FROM orders o JOIN charges c ON c.order_id = o.id LEFT JOIN refunds r ON r.order_id = o.id
		WHERE o.state = 2 AND (c.state NOT IN (3, 4, 5) OR (c.state = 5 AND (r.refund_id IS NULL OR r.amount <> c.amount)) OR (c.state <> 5 AND r.refund_id IS NOT NULL))`},
	{"nobody pays for an order that is not there", `SELECT c.order_id, CONCAT('charge in state ', c.state) FROM charges c LEFT JOIN orders o ON o.id = c.order_id
		WHERE o.id IS NULL AND c.state IN (1, 2, 6)`},
	{"every refund is confirmed", `SELECT order_id, CONCAT_WS(' ', reason, 'attempts', attempts) FROM refunds WHERE confirmed_at IS NULL`},
	{"stock adds up", `SELECT p.sku, CONCAT_WS(' ', 'put in', a.units, 'left', p.stock, 'sold', COALESCE(s.units, 0))
		FROM products p JOIN (SELECT sku, SUM(delta) AS units FROM stock_adjustments GROUP BY sku) a ON a.sku = p.sku
		LEFT JOIN (SELECT i.sku, SUM(i.quantity) AS units FROM order_items i JOIN orders o ON o.id = i.order_id WHERE o.state <> 2 GROUP BY i.sku) s ON s.sku = p.sku
		WHERE a.units <> p.stock + COALESCE(s.units, 0)`},
	{"a key is one order", `SELECT id, CONCAT('it has lost its key and is in state ', state) FROM orders WHERE idempotency_key IS NULL AND state <> 2`},
	{"every cancellation is finished", `SELECT order_id, CONCAT_WS(' ', reason, 'attempts', attempts, 'refunded', refunded_at, 'restocked', restocked_at)
		FROM order_cancellations WHERE finished_at IS NULL`},
	{
		"what is shipped has a shipment",
		`SELECT o.id, 'no shipment' FROM orders o LEFT JOIN shipments s ON s.order_id = o.id WHERE o.state = 3 AND s.order_id IS NULL`,
	},
	{
		"only what is shipped has a shipment",
		`SELECT s.order_id, CONCAT_WS(' ', 'state', o.state) FROM shipments s LEFT JOIN orders o ON o.id = s.order_id WHERE o.id IS NULL OR o.state <> 3`,
	},
	{"what is shipped was confirmed", `SELECT o.id, 'no confirmation' FROM orders o
		LEFT JOIN sent_mails m ON m.order_id = o.id AND m.kind = 'confirmation' WHERE o.state = 3 AND m.id IS NULL`},
	{"every mail is sent", `SELECT order_id, CONCAT_WS(' ', kind, 'attempts', attempts) FROM due_mails`},
	{"an order has its lines", `SELECT o.id, 'no items' FROM orders o LEFT JOIN order_items i ON i.order_id = o.id WHERE i.id IS NULL
		UNION ALL SELECT i.order_id, 'items without order' FROM order_items i LEFT JOIN orders o ON o.id = i.order_id WHERE o.id IS NULL`},
	{"trouble makes no dead letters", `SELECT IF(order_id = '', dedup_key, order_id), CONCAT(source, ': ', reason) FROM failed_orders WHERE status = 'open'`},
}

// verify waits until the drain leaves no violation, and reports those that remain.
func (r *round) verify(m *market) {
	r.t.Helper()
	found := r.drain(m)
	if len(found) == 0 {
		r.audit()
		r.logLosses(m)
	}
	for _, c := range m.complaints {
		found = append(found, violation{"responses to clients", c.who, c.at.UTC().Format(clock) + " " + c.text})
	}
	r.report(m, found)
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// logLosses logs how many acknowledged orders Redis lost, each of which is refunded.
func (r *round) logLosses(m *market) {
	r.t.Helper()
	states, err := r.states(r.ctx)
	if err != nil {
		r.t.Error(err)
		return
	}
	if n := len(m.losses(states)); n > 0 {
		r.logf("%d acknowledged orders were lost with Redis; what was paid for them is refunded", n)
	}
}

// drain looks until nothing is wrong, or for too long, and returns what is wrong then.
func (r *round) drain(m *market) (found []violation) {
	r.t.Helper()
	began, said, last := time.Now(), time.Now(), ""
	for quiet := 0; ; r.pause(drainPoll) {
		var err error
		if found, err = r.violations(m); err == nil && len(found) == 0 {
			if quiet++; quiet == drainLooks {
				r.logf("drained after %s", time.Since(began).Round(time.Second))
				return nil
			}
			continue
		}
		quiet = 0
		if time.Since(began) > drainTime {
			if err != nil {
				r.t.Errorf("SQL and the server could not be asked: %v", err)
			}
			r.logf("not drained after %s", time.Since(began).Round(time.Second))
			return found
		}
		if now := fmt.Sprintf("%s (%v)", byRule(found), err); now != last && time.Since(said) > logInterval {
			said, last = time.Now(), now
			r.logf("draining: %s", now)
		}
	}
}

// byRule counts the findings.
func byRule(found []violation) string {
	counts := map[string]int{}
	for _, f := range found {
		counts[f.rule]++
	}
	var out []string
	for _, rule := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%d against %q", counts[rule], rule))
	}
	return strings.Join(out, ", ")
}

// violations reads all violations from SQL once.
func (r *round) violations(m *market) ([]violation, error) {
	ctx, cancel := context.WithTimeout(r.ctx, queryTimeout)
	defer cancel()
	var out []violation
	for _, rule := range rules {
		found, err := r.violationsOf(ctx, rule)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.name, err)
		}
		out = append(out, found...)
	}
	for _, check := range []func(context.Context, *market) ([]violation, error){r.acknowledgementsAreTrue, r.lossesAreRefunded, r.replacedAreCancelled, r.restocksAreBooked, r.countersAgree, r.providerAgrees, r.carrierAgrees} {
		found, err := check(ctx, m)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return slices.DeleteFunc(out, r.allowed), nil
}

func (h *harness) violationsOf(ctx context.Context, r rule) (out []violation, err error) {
	err = each(ctx, h.db, r.query, func(rows *sql.Rows) error {
		f := violation{rule: r.name}
		err := rows.Scan(&f.who, &f.detail)
		out = append(out, f)
		return err
	})
	return out, err
}

// each scans every row of the query.
func each(ctx context.Context, db *sql.DB, query string, scan func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// acknowledgementsAreTrue: each order that was acknowledged to a client is in SQL, in the acknowledged state or a later one (I5).
func (h *harness) acknowledgementsAreTrue(ctx context.Context, m *market) ([]violation, error) {
	states, err := h.states(ctx)
	if err != nil {
		return nil, err
	}
	var out []violation
	wrong := func(a *attempt, format string, args ...any) {
		out = append(out, violation{"acknowledged states are true", string(a.id), fmt.Sprintf(format, args...)})
	}
	for _, a := range m.attempts {
		state, ok := states[a.id]
		switch {
		case a.id == "", m.mayBeLost(a): // The latter is for lossesAreRefunded.
		case !ok:
			wrong(a, "it was acknowledged as %s and is not in SQL", a.last)
		case !state.Follows(a.last):
			wrong(a, "it was acknowledged as %s and is %s in SQL", a.last, state)
		case state == order.Cancelled && !a.cancelled && slices.Contains([]order.State{order.Paid, order.ShipFailed}, a.last):
			wrong(a, "it was acknowledged as %s and is cancelled in SQL, though its client did not cancel it", a.last)
		}
	}
	return out, nil
}

func (h *harness) states(ctx context.Context) (map[order.ID]order.State, error) {
	out := map[order.ID]order.State{}
	return out, each(ctx, h.db, "SELECT id, state FROM orders", func(rows *sql.Rows) error {
		var id order.ID
		var s order.State
		err := rows.Scan(&id, &s)
		out[id] = s
		return err
	})
}

// restocksAreBooked: each adjustment that was acknowledged is in SQL, once by its key.
func (h *harness) restocksAreBooked(ctx context.Context, m *market) ([]violation, error) {
	var out []violation
	for id, units := range m.adjustments {
		var n int64
		err := h.db.QueryRowContext(ctx, "SELECT COALESCE(SUM(delta), 0) FROM stock_adjustments WHERE adjustment_id = ?", id).Scan(&n)
		if err != nil {
			return nil, err
		}
		if n != units {
			out = append(out, violation{"an adjustment is booked once", id, fmt.Sprintf("%d units were acknowledged, SQL has %d", units, n)})
		}
	}
	return out, nil
}

// countersAgree: once drained, what can be bought is what SQL has left, without what is kept for times without Redis.
func (h *harness) countersAgree(ctx context.Context, m *market) ([]violation, error) {
	catalog := spillwayv1connect.NewCatalogServiceClient(http.DefaultClient, h.url)
	var out []violation
	for _, sku := range m.skus() {
		resp, err := catalog.GetProduct(ctx, &spillwayv1.GetProductRequest{Sku: string(sku)})
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", sku, err)
		}
		var left int64
		if err := h.db.QueryRowContext(ctx, "SELECT stock - reserve FROM products WHERE sku = ?", sku).Scan(&left); err != nil {
			return nil, err
		}
		if n := resp.GetProduct().GetAvailable(); n != left {
			out = append(out, violation{"the counters agree with SQL", string(sku), fmt.Sprintf("%d can be bought, SQL has %d", n, left)})
		}
	}
	return out, nil
}

// audit runs the shop's own audit, which checks more than the rules here. Its environment names Redis and the provider's file, so that it
// also compares Redis' counters with SQL, and the provider with the ledger.
func (h *harness) audit() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "audit", "--drained", "--wait", "60s")
	cmd.Env = h.environment()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		h.logf("audit: %s", lines[len(lines)-1])
	case errors.As(err, &exit):
		h.t.Errorf("spillway audit --drained: %v\n%s", err, out)
	default:
		h.t.Error(err)
	}
}

// report fails the test by what was found, with the histories of the first orders.
func (r *round) report(m *market, found []violation) {
	r.t.Helper()
	shown := map[string]bool{}
	for i, f := range found {
		if i == 10*maxHistories {
			r.t.Errorf("... and %d more", len(found)-i)
			break
		}
		r.t.Errorf("round %d: %s", r.number, f)
		if !shown[f.who] && len(shown) < maxHistories {
			shown[f.who] = true
			r.t.Log(r.history(m, f.who))
		}
	}
}
