package store_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
)

func TestTarget_VerbAndTable(t *testing.T) {
	for query, want := range map[string]string{
		"INSERT INTO orders (id, state) VALUES (?,?)":                               "INSERT orders",
		"SELECT id, state FROM orders FORCE INDEX (PRIMARY) WHERE id IN (?)":        "SELECT orders",
		"UPDATE orders FORCE INDEX (PRIMARY) SET state = ?":                         "UPDATE orders",
		"DELETE due_mails FROM due_mails FORCE INDEX (PRIMARY) WHERE id IN (?)":     "DELETE due_mails",
		"SELECT `stock_epochs`.`id` FROM `stock_epochs` WHERE `stock_epochs`.`x`=?": "SELECT stock_epochs",
		"SELECT 1":                 "SELECT ",
		"":                         " ",
		"insert into charges(a) x": "INSERT charges",
		"SELECT GET_LOCK('a', ?)":  "SELECT ",
		"INSERT INTO orders (id) VALUES " + strings.Repeat("(?),", 100_000): "INSERT orders",
	} {
		if verb, table := store.Target(query); verb+" "+table != want {
			t.Errorf("%.80s: %q; want %q", query, verb+" "+table, want)
		}
	}
}

func TestRowsOf_RowsAndIDs(t *testing.T) {
	for query, c := range map[string]struct{ args, want int }{
		"INSERT INTO orders (id, state) VALUES (?,?),(?,?),(?,?)":                                {6, 3},
		"INSERT INTO due_mails (a, b, c) VALUES (?,0,?),(?,0,?) ON DUPLICATE KEY UPDATE a = ?":   {5, 2},
		"SELECT id FROM orders WHERE id IN (?,?,?) AND state IN (?)":                             {4, 3},
		"UPDATE orders SET a = CASE id WHEN ? THEN ? END WHERE id IN (?,?) AND state IN (?)":     {5, 2},
		"SELECT id FROM orders WHERE (customer_id, idempotency_key) IN (VALUES (?,?),(?,?)) = ?": {5, 2},
		"UPDATE orders SET state = ? WHERE id IN (?) AND state IN (?,?,?)":                       {5, 1},
		"UPDATE `stock_epochs` SET `a` = ? WHERE `id` = ? AND `stock_epochs`.`state` IN (?, ?)":  {4, 0},
		"SELECT 1": {0, 0},
	} {
		if got := store.RowsOf(query, c.args); got != c.want {
			t.Errorf("%s: %d rows; want %d", query, got, c.want)
		}
	}
}

// TestOpen_SpansOfSampledTraces: a statement of a sampled trace has a span with its table and the number of its rows, without arguments and
// without the text of an error; one of another trace has none.
func TestOpen_SpansOfSampledTraces(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
	onBoth(t, func(t *testing.T, db *store.DB) {
		spans.Reset()
		orders := store.NewOrders(db)
		changes := []order.Event{change(anOrder("k1"), order.Paid), change(anOrder("k2"), order.Paid), change(anOrder("k3"), order.Paid)}
		if _, err := orders.Apply(tracing.Context(t.Context(), parent+"0"), changes[:1]); err != nil {
			t.Fatal(err)
		}
		if got := spans.GetSpans(); len(got) != 0 {
			t.Errorf("spans of a trace that is not sampled: %+v", got)
		}
		ctx := tracing.Context(t.Context(), parent+"1")
		if _, err := orders.Apply(ctx, changes[1:]); err != nil {
			t.Fatal(err)
		}
		const bad = "INSERT INTO orders (id, email) VALUES ('secret', 'secret')"
		if err := store.Exec(ctx, db, bad); err == nil {
			t.Fatal("a row without its columns was inserted")
		}
		rows := make(map[string]int64)
		for _, s := range spans.GetSpans() {
			for _, kv := range s.Attributes {
				if strings.Contains(kv.Value.String(), "secret") || kv.Key == "db.query.text" {
					t.Errorf("%s has %s=%s", s.Name, kv.Key, kv.Value.String())
				}
				if kv.Key == tracing.SQLRowsKey {
					rows[s.Name] = kv.Value.AsInt64()
				}
			}
			if len(s.Events) > 0 || s.Status.Description != "" {
				t.Errorf("%s has events %+v, status %+v", s.Name, s.Events, s.Status)
			}
			if s.Parent.SpanID().String() != "b7ad6b7169203331" {
				t.Errorf("the parent of %s is %s", s.Name, s.Parent.SpanID())
			}
		}
		if rows["INSERT orders"] != 2 || rows["SELECT orders"] != 2 {
			t.Errorf("rows of statements: %v; want 2 of the orders", rows)
		}
	})
}
