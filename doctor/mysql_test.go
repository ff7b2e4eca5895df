package doctor

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// ofMySQL is a session of a process with a MySQL, whose settings were read.
func ofMySQL(t *testing.T, dsn string, change func(*Config)) *session {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{SQL: &SQL{DSN: dsn, Addr: cfg.Addr}, Orders: Orders{Uses: true, Durability: DurabilityAuto, Default: "journal", JournalMax: 1000}}
	change(&config)
	s := newSession(config)
	t.Cleanup(s.close)
	if r := checkSQL(t.Context(), s); r.passes() {
		readMySQL(t.Context(), s)
	}
	return s
}

// run runs statements as root.
func run(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func migrate(t *testing.T, dsn string) {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // What it wrote was checked.
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestMySQL_Settings: a MySQL as it should be passes every check, and each wrong setting fails its own.
func TestMySQL_Settings(t *testing.T) {
	t.Parallel()
	dsn := realparts.StartMySQL(t).MySQL()
	keep := func(*Config) {}
	want(t, ofMySQL(t, dsn, keep), "sql.migrations", Fail, "are pending, from ", "spillway migrate up")
	migrate(t, dsn)
	s := ofMySQL(t, dsn, keep)
	for _, name := range []string{
		"sql.migrations", "mysql.version", "mysql.clock", "mysql.tls", "mysql.writable", "mysql.isolation", "mysql.charset", "mysql.engine", "mysql.flush",
		"mysql.binlog", "mysql.connections", "mysql.timeout",
	} {
		want(t, s, name, OK, "", "")
	}
	refusesWrites(t, s)
	for _, c := range []struct {
		set, back, name string
		status          Status
		found, fix      string
	}{
		{"SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET GLOBAL innodb_flush_log_at_trx_commit = 1", "flush", Fail, "is 2", "SET PERSIST innodb_flush_log_at_trx_commit = 1"},
		{"SET GLOBAL max_connections = 30", "SET GLOBAL max_connections = 1000", "connections", Fail, "of 30", "max_connections"},
		{"SET GLOBAL max_connections = 34", "SET GLOBAL max_connections = 1000", "connections", Warn, "of 34", "max_connections"},
		{"SET GLOBAL wait_timeout = 60", "SET GLOBAL wait_timeout = 28800", "timeout", Warn, "1m0s", "SET PERSIST wait_timeout = 600"},
		{"SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF", "writable", Fail, "read-only", "--mysql"},
		{"ALTER DATABASE CHARACTER SET latin1", "DO 0", "charset", Warn, "latin1", "ALTER DATABASE"},
		{"CREATE TABLE old (name VARCHAR(9))", "DROP TABLE old", "charset", Fail, "old is latin1", "CONVERT TO CHARACTER SET utf8mb4"},
		{"CREATE TABLE slow (n INT) ENGINE = MyISAM", "DROP TABLE slow", "engine", Fail, "slow is MyISAM", "ENGINE = InnoDB"},
	} {
		run(t, dsn, c.set)
		want(t, ofMySQL(t, dsn, keep), "mysql."+c.name, c.status, c.found, c.fix)
		run(t, dsn, c.back)
	}
	s.now = func() time.Time { return time.Now().Add(time.Minute) }
	want(t, s, "mysql.clock", Fail, "behind", "timedatectl")

	// The shop's user lacks the database; its password is not shown.
	run(t, dsn, "CREATE USER shop IDENTIFIED BY 'hunter2-hunter2'")
	wrong := strings.Replace(dsn, "root@", "shop:another-secret@", 1)
	want(t, ofMySQL(t, wrong, keep), "sql.reachable", Fail, "Error 1045", "--mysql-password-file")
	denied := strings.Replace(dsn, "root@", "shop:hunter2-hunter2@", 1)
	want(t, ofMySQL(t, denied, keep), "sql.reachable", Fail, "Error 1044", "GRANT")
	want(t, ofMySQL(t, strings.Replace(dsn, "/spillway", "/nowhere", 1), keep), "sql.reachable", Fail, "Error 1049", "CREATE DATABASE")
	want(t, ofMySQL(t, dsn+"?tls=true", keep), "sql.reachable", Fail, "x509", "tls=")
	want(t, ofMySQL(t, "root@tcp("+realparts.FreeAddr(t)+")/spillway", keep), "sql.reachable", Fail, "refused", "start MySQL")
}

// TestMySQL_Facts: what no server of the test can be made to be.
func TestMySQL_Facts(t *testing.T) {
	t.Parallel()
	s := newSession(Config{SQL: &SQL{Addr: "10.0.0.6:3306"}})
	s.server = store.Server{
		Isolation: "REPEATABLE-READ",
		Variables: map[string]string{"version": "8.0.15-log", "log_bin": "ON", "sync_binlog": "1", "binlog_format": "STATEMENT"},
	}
	want(t, s, "mysql.version", Fail, "8.0.15", "8.0.16")
	want(t, s, "mysql.isolation", Fail, "REPEATABLE-READ", "transaction_isolation")
	want(t, s, "mysql.tls", Warn, "10.0.0.6", "tls=true")
	want(t, s, "mysql.binlog", Fail, "STATEMENT", "binlog_format = 'ROW'")
	s.server.Variables["binlog_format"], s.server.Variables["sync_binlog"] = "ROW", "0"
	want(t, s, "mysql.binlog", Warn, "sync_binlog is 0", "SET PERSIST sync_binlog = 1")
	s.server.Variables["sync_binlog"] = "1"
	want(t, s, "mysql.binlog", OK, "", "")
	s.server.Cipher = "TLS_AES_256_GCM_SHA384"
	want(t, s, "mysql.tls", OK, "TLS", "")
	s.server.Variables["version"] = "11.4.2-MariaDB"
	want(t, s, "mysql.version", Fail, "MariaDB", "use MySQL")
	s.server.Variables["version"] = "8.4.0"
	want(t, s, "mysql.version", OK, "", "")
	// A user's own limit counts.
	s.server.Variables["max_connections"], s.server.Variables["max_user_connections"], s.server.Connected = "500", "10", "1"
	want(t, s, "mysql.connections", Fail, "of 10", "max_connections")
}

// TestSQLite: an embedded database is only read.
func TestSQLite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "spillway.db")
	fresh := func() *session {
		s := newSession(Config{SQL: &SQL{DSN: "sqlite:" + file, File: file, Embedded: true}, Orders: Orders{Uses: true, Durability: DurabilityAuto, Default: "sql"}})
		t.Cleanup(s.close)
		return s
	}
	want(t, fresh(), "sql.reachable", Skipped, "the first start", "")
	migrate(t, "sqlite:"+file)
	s := fresh()
	want(t, s, "sql.reachable", OK, file, "")
	want(t, s, "sql.migrations", OK, "", "")
	want(t, s, "shop.durability", OK, "would record sql", "")
	want(t, s, "shop.epoch", Skipped, "no epoch", "")
	want(t, s, "shop.dead-letters", OK, "", "")
	refusesWrites(t, s)
	write(t, file, "this is no database, whatever its name", 0o600)
	want(t, fresh(), "sql.reachable", Fail, "", "--data-dir")
}

// refusesWrites fails the test if the doctor's connection can write: the shop's identity is made by the first who reads it.
func refusesWrites(t *testing.T, s *session) {
	t.Helper()
	if id, err := store.NewSettings(s.db).ShopID(t.Context()); err == nil || !strings.Contains(strings.ToLower(err.Error()), "read") {
		t.Errorf("the doctor's connection has written: %s, %v", id, err)
	}
}
