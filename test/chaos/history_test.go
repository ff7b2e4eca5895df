package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

// logLines is how many lines of the logs a history has at most: a worker may repeat a line every second.
const logLines = 40

// traces are where an order leaves some in SQL; each query has the order's id once.
var traces = []rule{
	{"orders", "SELECT * FROM orders WHERE id = ?"},
	{"order_items", "SELECT * FROM order_items WHERE order_id = ?"},
	{"charges", "SELECT * FROM charges WHERE order_id = ?"},
	{"refunds", "SELECT * FROM refunds WHERE order_id = ?"},
	{"order_cancellations", "SELECT * FROM order_cancellations WHERE order_id = ?"},
	{"shipments", "SELECT * FROM shipments WHERE order_id = ?"},
	{"sent_mails", "SELECT * FROM sent_mails WHERE order_id = ?"},
	{"due_mails", "SELECT * FROM due_mails WHERE order_id = ?"},
	{"failed_orders", "SELECT id, source, reason, attempts, status, created_at FROM failed_orders WHERE order_id = ?"},
	{"stock_dedup_log", "SELECT epoch, first_id, last_id, entries, applied_at FROM stock_dedup_log WHERE INSTR(orders, ?) > 0"},
}

// history is everything known of an order: responses to its client, rows in SQL and Redis, log lines of the processes.
func (r *round) history(m *market, who string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), queryTimeout)
	defer cancel()
	var out strings.Builder
	fmt.Fprintf(&out, "the history of %s:\n", who)
	id := order.ID(who)
	for _, a := range m.attempts {
		if a.id == id {
			out.WriteString(a.String())
		}
	}
	for _, c := range m.complaints {
		if c.who == who && c.attempt != nil {
			out.WriteString(c.attempt.String())
			id = c.attempt.id
		}
	}
	if _, err := order.ParseID(string(id)); err != nil {
		return out.String()
	}
	for _, q := range traces {
		if err := dump(ctx, &out, r.db, q, id); err != nil {
			fmt.Fprintf(&out, "  %s: %v\n", q.name, err)
		}
	}
	if err := dump(ctx, &out, r.taken, rule{"provider", "SELECT * FROM outcomes WHERE order_id = ?"}, id); err != nil {
		fmt.Fprintf(&out, "  provider: %v\n", err)
	}
	r.dumpRedis(ctx, &out, id)
	lines := r.grep(string(id))
	for i, line := range lines {
		if i == logLines {
			fmt.Fprintf(&out, "  ... and %d more lines\n", len(lines)-i)
			break
		}
		fmt.Fprintf(&out, "  %s\n", line)
	}
	return out.String()
}

func dump(ctx context.Context, out *strings.Builder, db *sql.DB, q rule, id order.ID) error {
	rows, err := db.QueryContext(ctx, q.query, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s:", q.name)
		for i, c := range columns {
			if b, ok := values[i].([]byte); ok {
				values[i] = fmt.Sprintf("%q", b)
			}
			fmt.Fprintf(out, " %s=%v", c, values[i])
		}
		out.WriteByte('\n')
	}
	return rows.Err()
}

// dumpRedis shows the hot record, and which entries of the open journal name the order.
func (h *harness) dumpRedis(ctx context.Context, out *strings.Builder, id order.ID) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{h.primary()}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		fmt.Fprintf(out, "  redis: %v\n", err)
		return
	}
	defer c.Close()
	record, err := c.Do(ctx, c.B().Hgetall().Key(h.keys.Order(id)).Build()).AsStrMap()
	delete(record, "snapshot")
	fmt.Fprintf(out, "  redis: record %q (%v)\n", record, err)
	journals, err := c.Do(ctx, c.B().Zrange().Key(h.keys.Journals()).Min("0").Max("-1").Build()).AsStrSlice()
	fmt.Fprintf(out, "  redis: journals that are not relayed to their end: %v (%v)\n", journals, err)
}
