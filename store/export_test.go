package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// OpenUnchecked opens a database without a ping.
var OpenUnchecked = open

// RawSQL lets a test do what only another part of the shop, or time, would.
func (db *DB) RawSQL(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	r, err := db.sql.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Exec runs a statement behind the repositories' back.
func Exec(ctx context.Context, db *DB, query string, args ...any) error {
	_, err := db.sql.ExecContext(ctx, query, args...)
	return err
}

// Count reads one number behind the repositories' back.
func Count(ctx context.Context, db *DB, query string, args ...any) (n int64, err error) {
	err = db.sql.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// Translate turns an error of the driver into what callers get.
var Translate = translate

// Take renews the claim.
func (c *RedisClaim) Take(ctx context.Context) error { return c.take(ctx) }

// Connection is the number of the connection that has the claim.
func (c *RedisClaim) Connection(t testing.TB) (id int64) {
	t.Helper()
	if err := c.conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// UpBefore applies the migrations that come before the one with the text in its file name.
func (m *Migrator) UpBefore(ctx context.Context, name string) error {
	ex, err := m.executor(ctx, m.db.sql)
	if err != nil {
		return err
	}
	pending, err := ex.Pending(ctx)
	if err != nil {
		return err
	}
	for _, f := range pending {
		if strings.Contains(f.Name(), name) {
			return nil
		}
		if err := ex.Execute(ctx, f); err != nil {
			return err
		}
	}
	return errors.New("no migration is called " + name)
}

// Pools occupies all connections of one kind of work, and returns how to release them.
func (db *DB) Pools() map[string]func(t testing.TB) (release func()) {
	occupy := func(pool *sql.DB) func(t testing.TB) func() {
		return func(t testing.TB) func() {
			t.Helper()
			conns := make([]*sql.Conn, pool.Stats().MaxOpenConnections)
			for i := range conns {
				var err error
				if conns[i], err = pool.Conn(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			return func() {
				for _, c := range conns {
					_ = c.Close()
				}
			}
		}
	}
	return map[string]func(t testing.TB) func(){
		"reads": occupy(db.reads.sql), "searches": occupy(db.searchPool.sql), "the rest": occupy(db.sql),
	}
}

// SearchSetting is a session variable of the connections for searches.
func (db *DB) SearchSetting(t testing.TB, name string) (value string) {
	t.Helper()
	if err := db.searchPool.sql.QueryRowContext(t.Context(), "SELECT @@SESSION."+name).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// InsertByBuilder inserts charges by ent's builder, to compare Record's INSERT with it.
func (c *Charges) InsertByBuilder(ctx context.Context, charges []order.Charge) error {
	rows := make([]*ent.ChargeCreate, len(charges))
	for i, ch := range charges {
		voided, recheck := voidTimes(ch.State, ch.UpdatedAt)
		rows[i] = c.db.ent.Charge.Create().SetID(string(ch.OrderID)).SetChargeID(ch.ChargeID).SetState(int8(ch.State)).
			SetAmount(int64(ch.Amount.Amount)).SetCurrency(string(ch.Amount.Currency)).SetDeclineCode(truncate(ch.DeclineCode, maxDeclineCode)).
			SetCreatedAt(ch.CreatedAt).SetUpdatedAt(ch.UpdatedAt).SetAttempt(attempt(ch.Attempt)).
			SetNillableVoidedAt(voided).SetNillableRecheckAt(recheck)
	}
	return c.db.ent.Charge.CreateBulk(rows...).Exec(ctx)
}

// InsertBySQL inserts charges as Record does.
func (c *Charges) InsertBySQL(ctx context.Context, charges []order.Charge) error {
	return insertCharges(ctx, c.db.ent, charges, "")
}

// Query returns the rows of a query, each as its printed values.
func Query(ctx context.Context, db *DB, query string) (out []string, err error) {
	rows, err := db.sql.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		out = append(out, fmt.Sprintf("%T %v", values, values))
	}
	return out, rows.Err()
}

// Target returns the verb of a statement and its table.
var Target = target

// RowsOf returns how many rows or ids a statement names.
var RowsOf = rowsOf

// WrongTotals is the query of AuditView.TotalsThatDoNotAddUp.
const WrongTotals = wrongTotals

// IdleInTransaction and ConnIdle are the bounds of the connections for writing.
const (
	IdleInTransaction = idleInTransaction
	ConnIdle          = connIdle
)

// SearchConns is the number of open connections for searches.
func (db *DB) SearchConns() int { return db.searchPool.sql.Stats().OpenConnections }

// PlanOfList is how MySQL reads the newest orders of the customers.
func PlanOfList(t testing.TB, db *DB, customers []order.CustomerID, opt ListOptions) (plan string) {
	t.Helper()
	query, args := newestSQL(db.dialect, customers, conditions(opt), opt.Limit)
	if err := db.sql.QueryRowContext(t.Context(), "EXPLAIN FORMAT=TREE "+query, args...).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

// BoughtLines is Bought with another bound of lines.
func (s *Stock) BoughtLines(ctx context.Context, customer order.CustomerID, from, before order.ID, most int) ([]order.Bought, error) {
	return s.bought(ctx, customer, from, before, most)
}

// PlanOfBought is MySQL's plan for the query of Bought.
func PlanOfBought(t testing.TB, db *DB, customers []order.CustomerID, from, before order.ID) (plan string) {
	t.Helper()
	args := append(anys(customers), from, before, order.Cancelled, maxBoughtLines)
	if err := db.sql.QueryRowContext(t.Context(), "EXPLAIN FORMAT=TREE "+db.boughtSQL(len(customers)), args...).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	return plan
}
