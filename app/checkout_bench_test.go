package app

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/telemetry"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/tracing"
)

// benchCallers is the number of concurrent customers, as in `make bench`.
const benchCallers = 64

// BenchmarkCheckout_PlaceOrder places paid orders of one product through the checkout service as a process serves it, on a real Redis and a
// real MySQL, without HTTP. The allocations are those of the whole process.
func BenchmarkCheckout_PlaceOrder(b *testing.B) {
	benchOrders(b, openBench(b), "MUG", "", func(err error) bool { return err == nil })
}

// BenchmarkCheckout_Traced is BenchmarkCheckout_PlaceOrder with a tracer provider, which exports nothing, and requests with a trace context.
func BenchmarkCheckout_Traced(b *testing.B) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
	for name, flags := range map[string]string{"unsampled": "00", "sampled": "01"} {
		b.Run(name, func(b *testing.B) {
			provider := sdk.NewTracerProvider(sdk.WithSampler(telemetry.NewSampler()))
			otel.SetTracerProvider(provider)
			b.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
			benchOrders(b, openBench(b), "MUG", parent+flags, func(err error) bool { return err == nil })
		})
	}
}

// BenchmarkCheckout_SoldOut places orders of a product that is sold out.
func BenchmarkCheckout_SoldOut(b *testing.B) {
	benchOrders(b, openBench(b), "GONE", "", func(err error) bool {
		var sold *order.SoldOutError
		return errors.As(err, &sold)
	})
}

// benchOrders places an order of the product in each iteration, with an outcome that is expected, in the trace context of traced.
func benchOrders(b *testing.B, a *App, sku, traced string, expected func(error) bool) {
	b.Helper()
	var n atomic.Int64
	b.SetParallelism(max(1, benchCallers/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		ctx := auth.With(tracing.Context(b.Context(), traced), auth.Caller{Customer: auth.NewGuest()})
		for pb.Next() {
			if _, err := a.api.services.Checkout.PlaceOrder(ctx, benchRequest(sku, "key-"+strconv.FormatInt(n.Add(1), 10))); !expected(err) {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime is the processor time that this process has used. Unlike the time, it depends little on what else runs on the machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// openBench opens a process that only serves, with a product that does not sell out and one that is.
func openBench(b *testing.B) *App {
	b.Helper()
	cfg := DefaultConfig(RoleServe)
	cfg.SQL.MySQL, cfg.SQL.DataDir = realparts.MySQL(b), b.TempDir()
	cfg.Redis.Addr, cfg.Redis.Namespace, cfg.HTTP.Listen = realparts.Redis(b), "bench-"+rand.Text(), "127.0.0.1:0"
	cfg.Auth.Key = rand.Text() + rand.Text()
	cfg.Orders.JournalMax, cfg.Orders.CustomerOrders = 1<<30, 0
	seedBench(b, cfg.SQL.dsn())
	a, err := Open(b.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		deleteBenchKeys(b, a)
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	})
	return a
}

func seedBench(b *testing.B, dsn string) {
	b.Helper()
	db, err := store.Open(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := store.NewMigrator(db).Up(b.Context()); err != nil {
		b.Fatal(err)
	}
	for sku, units := range map[order.SKU]int64{"MUG": 1e9, "GONE": 0} {
		p := store.Product{SKU: sku, Name: "Coffee mug", Price: order.Money{Currency: "EUR", Amount: 199}, Stock: units}
		if err := store.NewProducts(db).Create(b.Context(), p, "bench"); err != nil {
			b.Fatal(err)
		}
	}
}

// deleteBenchKeys deletes what the benchmark wrote to the shared Redis, which never evicts.
func deleteBenchKeys(tb testing.TB, a *App) {
	tb.Helper()
	const page = 1000
	ctx, c := context.Background(), a.deps.redis.Client()
	for cursor := uint64(0); ; {
		found, err := c.Do(ctx, c.B().Scan().Cursor(cursor).Match("{"+a.cfg.Redis.Namespace+":*").Count(page).Build()).AsScanEntry()
		if err == nil && len(found.Elements) > 0 {
			err = c.Do(ctx, c.B().Unlink().Key(found.Elements...).Build()).Error()
		}
		if err != nil {
			tb.Errorf("clean up: %v", err)
			return
		}
		if cursor = found.Cursor; cursor == 0 {
			return
		}
	}
}

func benchRequest(sku, key string) *spillwayv1.PlaceOrderRequest {
	return &spillwayv1.PlaceOrderRequest{
		IdempotencyKey: key, CurrencyCode: "EUR", Email: "a@example.com", Lines: []*spillwayv1.Line{{Sku: sku, Quantity: 1}},
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		Card:            &spillwayv1.Card{Number: "4242 4242 4242 4242", Cvv: "123", ExpiryYear: 2099, ExpiryMonth: 1},
	}
}
