package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // What the simulated provider keeps its charges in.

	"github.com/spillway/spillway/order"
)

// openProvider gives all processes one payment provider, which no kill makes forget anything.
func (h *harness) openProvider() {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "provider.db")
	h.env = append(h.env, "SPILLWAY_SIMULATE_PROVIDER_FILE="+path)
	var err error
	if h.taken, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = h.taken.Close() })
}

// account is what one side recorded of an order's money.
type account struct {
	taken, returned bool
	amount          order.Cents
}

func (a account) String() string {
	switch {
	case a.returned:
		return fmt.Sprintf("%d were taken and given back", a.amount)
	case a.taken:
		return fmt.Sprintf("%d are taken", a.amount)
	}
	return "nothing is taken"
}

// providerAgrees: what the provider took, and did not give back, is what the ledger records, order by order (I9).
func (h *harness) providerAgrees(ctx context.Context, _ *market) ([]violation, error) {
	theirs, err := accounts(ctx, h.taken, "SELECT order_id, succeeded, refunded, amount FROM outcomes")
	if err != nil {
		return nil, fmt.Errorf("ask the provider: %w", err)
	}
	ours, err := accounts(ctx, h.db, fmt.Sprintf("SELECT order_id, state IN (%d, %d, %d), state = %d, amount FROM charges",
		order.ChargeSucceeded, order.ChargeRefunding, order.ChargeRefunded, order.ChargeRefunded))
	if err != nil {
		return nil, err
	}
	var out []violation
	for id, their := range theirs {
		our := ours[id]
		delete(ours, id)
		holds := their.taken && !their.returned
		if holds != (our.taken && !our.returned) || (holds && their.amount != our.amount) {
			out = append(out, violation{"the provider has what the ledger says", string(id), fmt.Sprintf("the provider says that %s, the ledger that %s", their, our)})
		}
	}
	for id, our := range ours {
		if our.taken && !our.returned {
			out = append(
				out,
				violation{"the provider has what the ledger says", string(id), fmt.Sprintf("the provider never heard of it, the ledger says that %s", our)},
			)
		}
	}
	return out, nil
}

func accounts(ctx context.Context, db *sql.DB, query string) (map[order.ID]account, error) {
	out := map[order.ID]account{}
	return out, each(ctx, db, query, func(rows *sql.Rows) error {
		var id order.ID
		var a account
		err := rows.Scan(&id, &a.taken, &a.returned, &a.amount)
		out[id] = a
		return err
	})
}
