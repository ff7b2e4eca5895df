package e2e

import (
	"database/sql"
	"fmt"
	"slices"
	"time"

	_ "github.com/go-sql-driver/mysql" // To look behind the shop's back.

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// rows counts the orders of the SKU in MySQL by state.
func (f *fight) rows() map[order.State]int {
	f.t.Helper()
	db, err := sql.Open("mysql", f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT o.state, SUM(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id WHERE i.sku = ? GROUP BY o.state", f.sku)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	out := map[order.State]int{}
	for rows.Next() {
		var s order.State
		var n int
		if err := rows.Scan(&s, &n); err != nil {
			f.t.Fatal(err)
		}
		out[s] = n
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fight) taken() int {
	n := 0
	for state, units := range f.rows() {
		if state != order.Cancelled {
			n += units
		}
	}
	return n
}

func (f *fight) stockInSQL() int64 {
	f.t.Helper()
	units, err := store.NewStock(f.db()).SQLUnits(f.t.Context(), []order.SKU{order.SKU(f.sku)})
	if err != nil {
		f.t.Fatal(err)
	}
	return units[order.SKU(f.sku)].Stock
}

// nothingLost checks that each order that was answered as paid is in SQL as paid or later, once the drain is done (I5).
func (f *fight) nothingLost() {
	f.t.Helper()
	paid := ids(f.paid)
	f.awaitSettled("SQL to have each order that was answered as paid", paid)
	found, err := f.states(paid)
	if err != nil {
		f.t.Fatal(err)
	}
	for id, state := range found {
		if !state.Follows(order.Paid) || state == order.Cancelled {
			f.t.Errorf("order %s was answered as paid; SQL has %v", id, state)
		}
	}
}

// allTaken checks that exactly the units there are were taken. One may be left that was cancelled after the last attempt.
func (f *fight) allTaken() {
	f.t.Helper()
	f.eventually(drainTime, "SQL to have every order", func() bool {
		left := int(f.stockInSQL())
		return f.taken()+left == f.units && left <= f.rows()[order.Cancelled]
	})
	f.nothingLost()
	if n := f.held(); n > f.units || f.unknown > 0 {
		f.t.Errorf("%d orders were answered for %d units; %d attempts got no definite answer", n, f.units, f.unknown)
	}
	f.t.Logf("paid %d, pending %d, sold out %d; rows %v", len(f.paid), len(f.pending), f.soldOut, f.rows())
}

// quietFor is how long nothing must change for the drain to be at its end; it turns over in milliseconds.
const quietFor = 2 * time.Second

// quiet returns when rows and stock in SQL have not changed for a while.
func (f *fight) quiet() {
	f.t.Helper()
	seen, since := "", time.Now()
	f.eventually(drainTime, "SQL to come to rest", func() bool {
		if now := fmt.Sprint(f.rows(), f.stockInSQL()); now != seen {
			seen, since = now, time.Now()
		}
		return time.Since(since) > quietFor
	})
}

// lostChargesAreListed checks that each order that was answered as paid is in SQL, or its charge is in the ledger, to be refunded or refunded by now.
func (f *fight) lostChargesAreListed() {
	f.t.Helper()
	ledger := store.NewCharges(f.db())
	defer ledger.Close()
	orders, lost := store.NewOrders(f.db()), 0
	for id := range f.paid {
		if _, err := orders.Get(f.t.Context(), order.ID(id)); err != nil {
			lost++
			ch, chargeErr := ledger.Get(f.t.Context(), order.ID(id))
			if chargeErr != nil || !slices.Contains([]order.ChargeState{order.ChargeSucceeded, order.ChargeRefunding, order.ChargeRefunded}, ch.State) {
				f.t.Errorf("order %s is lost (%v) and its charge is in state %d (%v)", id, err, ch.State, chargeErr)
			}
		}
	}
	f.t.Logf("%d orders were lost with their Redis", lost)
}

// totalsAddUp waits until the lost orders are found, and what was taken for them is given back: their units, and their money, once.
func (f *fight) totalsAddUp() {
	f.t.Helper()
	f.eventually(drainTime, "units and money of lost orders to be back", func() bool {
		return int64(f.taken())+f.stockInSQL() == int64(f.units) && f.keptForNothing() == 0
	})
	db, err := sql.Open("mysql", f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	var refunded, refunds int
	err = db.QueryRow("SELECT (SELECT COUNT(*) FROM charges WHERE state = 5), (SELECT COUNT(*) FROM refunds)").Scan(&refunded, &refunds)
	if err != nil || refunded != refunds {
		f.t.Errorf("%d charges are refunded by %d refunds (%v)", refunded, refunds, err)
	}
	f.t.Logf("%d charges were refunded", refunded)
	a := f.audit("--drained", "--wait", auditWait)
	all := len(a.Findings)
	if f.listed != nil {
		a.Findings = slices.DeleteFunc(a.Findings, f.listed)
	}
	if len(a.Findings) > 0 || a.status != 0 && all == 0 {
		f.t.Errorf("the totals do not add up: %+v", a)
	}
	f.t.Logf("the audit lists %d violations", all)
}

// keptForNothing counts the charges that took money, which the provider has not given back, and that have no sold order.
func (f *fight) keptForNothing() int {
	f.t.Helper()
	db, err := sql.Open("mysql", f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT COUNT(*) FROM charges c LEFT JOIN orders o ON o.id = c.order_id WHERE c.state IN (2, 6) AND (o.id IS NULL OR o.state IN (0, 2))").Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}
