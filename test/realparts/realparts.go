// Package realparts provides tests with real servers. If one is missing, the test fails with the command that starts
// it.
package realparts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// dialTimeout is the timeout of the check whether a server listens.
const dialTimeout = 2 * time.Second

// Redis returns the address of the shared Redis.
func Redis(t testing.TB) string {
	t.Helper()
	addr := env("SPILLWAY_TEST_REDIS", "127.0.0.1:16379")
	reach(t, "Redis", addr)
	return addr
}

// RocketMQ returns the address of the shared gRPC proxy.
func RocketMQ(t testing.TB) string {
	t.Helper()
	addr := env("SPILLWAY_TEST_ROCKETMQ", "127.0.0.1:18081")
	reach(t, "RocketMQ", addr)
	return addr
}

// MySQL returns the DSN of an empty database on the shared MySQL, which is dropped when the test ends.
func MySQL(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv("SPILLWAY_TEST_MYSQL")
	if dsn == "" {
		dsn = sharedMySQL(t)
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatalf("SPILLWAY_TEST_MYSQL: %v", err)
	}
	reach(t, "MySQL", cfg.Addr)
	db, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		t.Fatalf("create a database on MySQL at %s: %v", cfg.Addr, err)
	}
	t.Cleanup(func() {
		defer db.Close()
		if _, err := db.ExecContext(context.Background(), "DROP DATABASE "+name); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	cfg.DBName = name
	return cfg.FormatDSN()
}

// sharedMySQL returns the DSN of the MySQL that `make services` started, which has a password of its own. An older version of it wrote none.
func sharedMySQL(t testing.TB) string {
	t.Helper()
	dsn, err := os.ReadFile(filepath.Join(ServicesDir(t), "mysql", "dsn"))
	if errors.Is(err, fs.ErrNotExist) {
		return "root@tcp(127.0.0.1:" + env("MYSQL_PORT", "13306") + ")/"
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(dsn))
}

// ServicesDir is where deploy/native keeps the servers.
func ServicesDir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("SPILLWAY_SERVICES_DIR"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, ".cache", "spillway", "services")
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func reach(t testing.TB, what, addr string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		t.Fatalf("no %s at %s: run `make services` (%v)", what, addr, err)
	}
	_ = c.Close()
}
