package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestCharges_InsertAsTheBuilder inserts charges of all kinds by Record's INSERT and by ent's builder, and compares every column.
func TestCharges_InsertAsTheBuilder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := store.NewCharges(db)
		defer ledger.Close()
		charges := func(prefix string) (out []order.Charge) {
			for i, state := range []order.ChargeState{order.ChargePending, order.ChargeSucceeded, order.ChargeDeclined, order.ChargeVoided} {
				out = append(out, order.Charge{
					OrderID: order.NewID(0, at), ChargeID: fmt.Sprint(prefix, i), State: state, Amount: order.Money{Currency: "JPY", Amount: order.Cents(i) << 40},
					DeclineCode: strings.Repeat("ü", 100*(i%2)), CreatedAt: at.Add(time.Duration(i) * time.Microsecond), UpdatedAt: at, Attempt: i,
				})
			}
			return out
		}
		bySQL, byBuilder := charges("s"), charges("b")
		if err := ledger.InsertBySQL(t.Context(), bySQL); err != nil {
			t.Fatal(err)
		}
		if err := ledger.InsertByBuilder(t.Context(), byBuilder); err != nil {
			t.Fatal(err)
		}
		rows := func(prefix string) (out []string) {
			const columns = "state, amount, currency, decline_code, created_at, updated_at, attempt, voided_at, recheck_at"
			found, err := store.Query(t.Context(), db, "SELECT "+columns+" FROM charges WHERE charge_id LIKE '"+prefix+"%' ORDER BY charge_id")
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		got, want := rows("s"), rows("b")
		if len(got) != len(bySQL) || !slices.Equal(got, want) {
			t.Errorf("the INSERT wrote\n%s\nthe builder\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if err := ledger.InsertBySQL(t.Context(), append(charges("n"), bySQL[1])); err == nil {
			t.Error("a duplicate was inserted")
		}
		if left := rows("n"); len(left) != 0 {
			t.Errorf("beside a duplicate %d rows were inserted; want none", len(left))
		}
	})
}

// BenchmarkCharges_Record inserts 32 charges in one statement on a real MySQL, as a group commit under load does. The figures are of the batch.
func BenchmarkCharges_Record(b *testing.B) {
	const group = 32
	db, err := store.Open(b.Context(), realparts.MySQL(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if _, err := store.NewMigrator(db).Up(b.Context()); err != nil {
		b.Fatal(err)
	}
	ledger := store.NewCharges(db)
	b.Cleanup(ledger.Close)
	for name, insert := range map[string]func(context.Context, []order.Charge) error{"SQL": ledger.InsertBySQL, "builder": ledger.InsertByBuilder} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				charges := make([]order.Charge, group)
				for i := range charges {
					id := order.NewID(0, at)
					charges[i] = order.Charge{
						OrderID: id, ChargeID: string(id), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 1200},
						CreatedAt: at, UpdatedAt: at, Attempt: 1,
					}
				}
				if err := insert(b.Context(), charges); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
