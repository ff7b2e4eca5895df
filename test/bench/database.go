package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// cleanTimeout is the maximum duration of the cleanup in one server.
const cleanTimeout = 2 * time.Minute

// database is a fresh database on the real MySQL.
type database struct {
	db         *sql.DB
	admin      *sql.DB
	name       string
	dsn        string       // of the database
	statements atomic.Int64 // that the benchmark itself sent, other than those of the measurement sql_hot_row
}

// mysqlConfig returns the configuration of the MySQL that the environment names.
func mysqlConfig() (*mysql.Config, error) {
	dsn := os.Getenv("SPILLWAY_TEST_MYSQL")
	if dsn == "" {
		return nil, fmt.Errorf("SPILLWAY_TEST_MYSQL does not name a MySQL: %w", errServices)
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("SPILLWAY_TEST_MYSQL: %w", err)
	}
	return cfg, reach("MySQL", cfg.Addr)
}

// openDatabase creates a database and connects to it as the server does.
func openDatabase(ctx context.Context, namespace string) (*database, error) {
	cfg, err := mysqlConfig()
	if err != nil {
		return nil, err
	}
	admin, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		return nil, err
	}
	d := &database{admin: admin, name: strings.ReplaceAll(namespace, "-", "_")}
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+d.name+" CHARACTER SET utf8mb4"); err != nil {
		return nil, errors.Join(fmt.Errorf("create a database on MySQL at %s: %w", cfg.Addr, err), admin.Close())
	}
	cfg.DBName = d.name
	d.dsn = cfg.FormatDSN()
	// As the store's own: one round trip per statement, and no gap locks.
	cfg.ParseTime, cfg.Loc, cfg.InterpolateParams = true, time.UTC, true
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = callTimeout, callTimeout, callTimeout
	cfg.Params = map[string]string{"transaction_isolation": "'READ-COMMITTED'", "time_zone": "'+00:00'"}
	if d.db, err = sql.Open("mysql", cfg.FormatDSN()); err != nil {
		return nil, errors.Join(err, d.drop())
	}
	d.db.SetMaxOpenConns(maxClients)
	d.db.SetMaxIdleConns(maxClients)
	return d, nil
}

// drop removes the database.
func (d *database) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
	defer cancel()
	_, err := d.admin.ExecContext(ctx, "DROP DATABASE "+d.name)
	if d.db != nil {
		err = errors.Join(err, d.db.Close())
	}
	return errors.Join(err, d.admin.Close())
}

// scan runs a query of the benchmark itself for one row.
func (d *database) scan(ctx context.Context, into []any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d.statements.Add(1)
	return d.db.QueryRowContext(ctx, query, args...).Scan(into...)
}

// count runs a query of the benchmark itself for one number.
func (d *database) count(ctx context.Context, query string, args ...any) (n int, err error) {
	err = d.scan(ctx, []any{&n}, query, args...)
	return n, err
}

// durability describes the durability of a commit of this MySQL: the ratios mean little if it is below the disk.
func (d *database) durability(ctx context.Context) string {
	var version, binlog string
	var flush int
	err := d.scan(ctx, []any{&version, &flush, &binlog}, "SELECT VERSION(), @@innodb_flush_log_at_trx_commit, @@log_bin")
	if err != nil {
		return "MySQL (" + err.Error() + ")"
	}
	return fmt.Sprintf("MySQL %s, innodb_flush_log_at_trx_commit=%d, log_bin=%s", version, flush, binlog)
}
