package app_test

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/doctor"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/test/realparts"
)

// diagnose returns the lines of a report by their names.
func diagnose(t *testing.T, cfg app.Config) map[string]doctor.Line {
	t.Helper()
	r, err := app.Diagnose(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]doctor.Line, len(r.Checks))
	for _, l := range r.Checks {
		lines[l.Name] = l
	}
	return lines
}

func wantLine(t *testing.T, lines map[string]doctor.Line, name string, status doctor.Status, found, fix string) {
	t.Helper()
	if l := lines[name]; l.Status != status || !strings.Contains(l.Found, found) || !strings.Contains(l.Fix, fix) {
		t.Errorf("%s: %s, %q, fix %q; want %s with %q and %q", name, l.Status, l.Found, l.Fix, status, found, fix)
	}
}

// TestDiagnose_RealShop: beside a healthy shop no check fails; the doctor changes nothing; and each defect of the shop's state is found.
func TestDiagnose_RealShop(t *testing.T) {
	t.Parallel()
	dsn, redis := realparts.MySQL(t), realparts.StartRedis(t).Addr()
	cfg := realConfig(t, app.RoleAll, dsn, redis)
	cfg.Queue.Topic = "spillway-orders"
	_, err1 := app.MigrateUp(t.Context(), cfg.SQL)
	_, err2 := app.Seed(t.Context(), cfg.SQL)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	// The shop's queue is in Redis, so that it does not meet other tests; the doctor only looks at RocketMQ.
	checked := cfg
	checked.Queue.RocketMQ = realparts.RocketMQ(t)
	before := diagnose(t, checked)
	wantLine(t, before, "shop.durability", doctor.OK, "would record journal", "")
	wantLine(t, before, "shop.epoch", doctor.Skipped, "no epoch was opened yet", "")

	shop, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	ctx, id := placeOrder(t, shop.URL())
	waitForState(ctx, t, shop.URL(), id, spillwayv1.OrderState_ORDER_STATE_SHIPPED)
	running := checked
	running.HTTP.Listen = strings.TrimPrefix(shop.URL(), "http://")
	lines := diagnose(t, running)
	for name, l := range lines {
		// The key of the tests is no random one.
		if l.Status == doctor.Fail && name != "process.auth-key" {
			t.Errorf("%s: %s", name, l.Found)
		}
	}
	wantLine(t, lines, "process.listen", doctor.OK, "a shop listens", "")
	wantLine(t, lines, "shop.epoch", doctor.OK, "epoch 1 is open", "")
	wantLine(t, lines, "shop.redis-epoch", doctor.OK, "epoch 1", "")
	wantLine(t, lines, "shop.counters", doctor.OK, "counters equal", "")
	wantLine(t, lines, "shop.journal", doctor.OK, "of at most 200000", "")
	wantLine(t, lines, "rocketmq.retries", doctor.OK, "", "")
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	client, db := openBoth(t, redis, dsn)
	keys, sums := realparts.CopyKeys(t, client, ""), checksums(t, db)
	checked.Queue.Topic = "never-made"
	lines = diagnose(t, checked)
	wantLine(t, lines, "rocketmq.topic", doctor.Fail, "never-made", "mqadmin updateTopic")
	if !maps.Equal(keys, realparts.CopyKeys(t, client, "")) {
		t.Error("the doctor has changed keys of Redis")
	}
	if got := checksums(t, db); got != sums {
		t.Errorf("the doctor has changed tables: %s, then %s", sums, got)
	}
	if left, err := os.ReadDir(cfg.SQL.DataDir); err != nil || len(left) != 1 || left[0].Name() != "mail" {
		t.Errorf("the data directory has %v (%v)", left, err)
	}
	broker, err := rocketmq.New(rocketmq.Config{Endpoint: checked.Queue.RocketMQ})
	if err != nil {
		t.Fatal(err)
	}
	if topic, err := broker.Topic(t.Context(), "never-made"); err != nil || topic.Found {
		t.Errorf("the doctor has made a topic: %+v, %v", topic, err)
	}
	diagnoseDefects(t, cfg, client, db)
}

// diagnoseDefects breaks the state of a shop that was stopped, and looks for each defect.
func diagnoseDefects(t *testing.T, cfg app.Config, client rueidis.Client, db *sql.DB) {
	t.Helper()
	k := journal.Keys{Namespace: cfg.Redis.Namespace}
	redis := func(args ...string) {
		t.Helper()
		if err := client.Do(t.Context(), client.B().Arbitrary(args[0]).Args(args[1:]...).Build()).Error(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	exec := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec("INSERT INTO failed_orders (dedup_key, source, order_id, reason, payload, trace_id, attempts, status, created_at, updated_at) " +
		"VALUES ('k', 'order_writer', 'o', 'r', 'p', '', 1, 'open', NOW(6), NOW(6))")
	redis("HINCRBY", k.Stock(1), "OLJCESPC7Z", "1")
	lines := diagnose(t, cfg)
	wantLine(t, lines, "shop.dead-letters", doctor.Warn, "1 of order_writer", "spillway dead-letters list")
	wantLine(t, lines, "shop.counters", doctor.Fail, "OLJCESPC7Z has ", "spillway audit --drained")

	redis("XADD", k.Journal(1), "*", "event", "x")
	small := cfg
	small.Orders.JournalMax = 1
	lines = diagnose(t, small)
	wantLine(t, lines, "shop.counters", doctor.Skipped, "on their way", "")
	wantLine(t, lines, "shop.journal", doctor.Fail, "refused from 1 on", "spillway work")

	other := cfg
	other.Orders.Durability = "sql"
	wantLine(t, diagnose(t, other), "shop.durability", doctor.Fail, "the shop has journal, and this process sql", "--durability journal")

	redis("SET", k.Epoch(), "9")
	wantLine(t, diagnose(t, cfg), "shop.redis-epoch", doctor.Fail, "epoch 9, and SQL on the earlier 1", "--redis-namespace")
	redis("DEL", k.Epoch())
	lines = diagnose(t, cfg)
	wantLine(t, lines, "shop.redis-epoch", doctor.Warn, "lost its data", "spillway audit")
	redis("SET", k.Epoch(), "1")
	exec("UPDATE stock_epochs SET run_id = 'another/history'")
	wantLine(t, diagnose(t, cfg), "shop.redis-epoch", doctor.Warn, "restarted or promoted", "spillway audit")
	exec("UPDATE stock_epochs SET epoch = 2")
	wantLine(t, diagnose(t, cfg), "shop.redis-epoch", doctor.Warn, "older data", "spillway audit")
	exec("UPDATE stock_epochs SET mode = 'sql'")
	lines = diagnose(t, cfg)
	wantLine(t, lines, "shop.epoch", doctor.Warn, "orders are taken in SQL", "repair Redis")
	wantLine(t, lines, "shop.counters", doctor.Skipped, "shop.redis-epoch was skipped", "")
}

func openBoth(t *testing.T, redis, dsn string) (rueidis.Client, *sql.DB) {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redis}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return client, db
}

// checksums are the names of all tables with the checksums of their rows.
func checksums(t *testing.T, db *sql.DB) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SHOW TABLES")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, name := range names {
		var table string
		var sum sql.NullInt64
		if err := db.QueryRowContext(t.Context(), "CHECKSUM TABLE `"+name+"`").Scan(&table, &sum); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %d\n", table, sum.Int64)
	}
	return out.String()
}

// TestDiagnose_EmbeddedShop: beside a running shop on embedded storage no check fails, and its files stay as they are.
func TestDiagnose_EmbeddedShop(t *testing.T) {
	t.Parallel()
	cfg := embedded(t)
	cfg.SQL.DataDir = filepath.Join(cfg.SQL.DataDir, "data")
	cfg.Admin.Listen = ""
	shop, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	ctx, id := placeOrder(t, shop.URL())
	waitForState(ctx, t, shop.URL(), id, spillwayv1.OrderState_ORDER_STATE_SHIPPED)
	look := func() {
		t.Helper()
		lines := diagnose(t, cfg)
		for name, l := range lines {
			if l.Status == doctor.Fail {
				t.Errorf("%s: %s", name, l.Found)
			}
		}
		wantLine(t, lines, "shop.epoch", doctor.OK, "epoch 1 is open", "")
		wantLine(t, lines, "process.data-dir", doctor.OK, "its user only", "")
	}
	look()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	look()
}

// TestDiagnose_NoSecrets: the configuration's secrets are in no result.
func TestDiagnose_NoSecrets(t *testing.T) {
	t.Parallel()
	cfg := realConfig(t, app.RoleAll, "shop:dsn-secret-1@tcp("+realparts.FreeAddr(t)+")/shop", "redis://shop:redis-secret-2@"+realparts.FreeAddr(t))
	cfg.Queue.RocketMQ, cfg.Queue.AccessKey, cfg.Queue.SecretKey = realparts.FreeAddr(t), "access-key-3", "secret-key-4"
	cfg.External.Mail.SMTPHost, cfg.External.Mail.SMTPUsername, cfg.External.Mail.SMTPPassword = "127.0.0.1", "u", "smtp-secret-5"
	cfg.External.Mail.SMTPPort, cfg.Auth.VerifyKeys = 1, "3f9a1c07e58b2d64907cb1fe83a5d2c6 b2d64907cb1fe83a5d2c63f9a1c07e58"
	lines := diagnose(t, cfg)
	for _, name := range []string{"redis.reachable", "sql.reachable", "rocketmq.reachable", "mail.server"} {
		wantLine(t, lines, name, doctor.Fail, "", "SPILLWAY_")
	}
	text := fmt.Sprint(lines)
	for _, secret := range []string{"dsn-secret-1", "redis-secret-2", "access-key-3", "secret-key-4", "smtp-secret-5", "3f9a1c07e58b", "5d2c63f9a1c07e58", testKey} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
}
