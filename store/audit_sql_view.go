package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// The audit's queries, in the files audit_sql_*.go, are SQL and not ent's builders: they are aggregates and joins over whole tables, and
// their rows are passed on one by one, because a table may not fit into memory.

// Audits lets the audit read everything at one moment.
type Audits struct{ db *DB }

// NewAudits makes the repository.
func NewAudits(db *DB) *Audits { return &Audits{db: db} }

// Horizon bounds what may still be on its way.
type Horizon struct {
	// Drained: nothing may.
	Drained bool
	// Since is from when on a change may be followed by one that is not in SQL yet.
	Since time.Time
	// PaidSince is from when on an order may be PAID and not shipped.
	PaidSince time.Time
	// MailSince is from when on orders need a record of their mails.
	MailSince time.Time
}

// Violation is an order or a SKU that violates a rule.
type Violation struct {
	OrderID order.ID
	SKU     order.SKU
	// Detail describes the violation, with the numbers.
	Detail string
}

// AuditView is all of SQL at one moment. Its rules call each for every violation that they find, and return how many rows were
// checked. each must not use the view.
type AuditView struct {
	tx      *ent.Client
	horizon Horizon
	counts  map[string]int64
}

// View calls f with a view that does not change meanwhile. It is a reader, which neither waits for writers nor holds them up, on
// connections of its own; and it stands outside of the breaker, as migrations do: it is an operator's, and may take long.
func (a *Audits) View(ctx context.Context, h Horizon, f func(ctx context.Context, v *AuditView) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if a.db.isMySQL() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := a.db.viewsEnt.BeginTx(ctx, opts)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = tx.Rollback() }() // It only reads.
	h.Since, h.PaidSince, h.MailSince = micro(h.Since), micro(h.PaidSince), micro(h.MailSince)
	return translate(f(ctx, &AuditView{tx: tx.Client(), horizon: h, counts: make(map[string]int64)}))
}

// rule is a condition on the rows of one kind.
type rule struct {
	// counts is a query for how many rows are checked.
	counts string
	// violations is a query for those that are not as they should be.
	violations string
	args       []any
	// describe makes the violation of a row; columns that are null are empty.
	describe func(row []string) Violation
}

func (v *AuditView) find(ctx context.Context, q rule, each func(Violation)) (int64, error) {
	n, err := v.count(ctx, q.counts)
	if err != nil {
		return 0, err
	}
	rows, err := v.tx.QueryContext(ctx, q.violations, q.args...)
	if err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	row, texts := make([]any, len(columns)), make([]string, len(columns))
	values := make([]sql.NullString, len(columns))
	for i := range values {
		row[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(row...); err != nil {
			return 0, fmt.Errorf("audit: %w", err)
		}
		for i, value := range values {
			texts[i] = value.String
		}
		each(q.describe(texts))
	}
	return n, rows.Err()
}

// count runs each query once: many rules are about the same rows.
func (v *AuditView) count(ctx context.Context, query string) (int64, error) {
	if n, ok := v.counts[query]; ok {
		return n, nil
	}
	var n int64
	err := each(ctx, v.tx, "the number of rows", func(r scanner) error { return r.Scan(&n) }, query)
	if err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	v.counts[query] = n
	return n, nil
}

// stateIs is a condition on orders' states. They are numbers of ours, so that they need no placeholder.
func stateIs(column string, states ...order.State) string {
	parts := make([]string, len(states))
	for i, s := range states {
		parts[i] = fmt.Sprint(int8(s))
	}
	return column + " IN (" + strings.Join(parts, ",") + ")"
}

// chargeIs is a condition on charges' states.
func chargeIs(column string, states ...order.ChargeState) string {
	parts := make([]string, len(states))
	for i, s := range states {
		parts[i] = fmt.Sprint(int8(s))
	}
	return column + " IN (" + strings.Join(parts, ",") + ")"
}
