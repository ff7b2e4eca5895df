package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/rueidis"
)

const (
	// cleanTimeout is the maximum duration of the cleanup in one server after the run.
	cleanTimeout = 2 * time.Minute
	// scanBatch is the number of keys per SCAN.
	scanBatch = 2000
)

// createDatabase creates the fresh database and connects to it as the server does.
func (s *stage) createDatabase(ctx context.Context) error {
	dsn := os.Getenv("SPILLWAY_TEST_MYSQL")
	if dsn == "" {
		return fmt.Errorf("SPILLWAY_TEST_MYSQL does not say where MySQL is: %w", errServices)
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("SPILLWAY_TEST_MYSQL: %w", err)
	}
	if err := reach("MySQL", cfg.Addr); err != nil {
		return err
	}
	name := strings.ReplaceAll(s.namespace, "-", "_")
	admin, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		return err
	}
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		return errors.Join(fmt.Errorf("create a database on MySQL at %s: %w", cfg.Addr, err), admin.Close())
	}
	s.cleaners = append(s.cleaners, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
		defer cancel()
		_, err := admin.ExecContext(ctx, "DROP DATABASE "+name)
		return errors.Join(err, admin.Close())
	})
	cfg.DBName = name
	s.dsn = cfg.FormatDSN()
	// As the store's own: one round trip per statement, and no gap locks.
	cfg.ParseTime, cfg.Loc, cfg.InterpolateParams = true, time.UTC, true
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = callTimeout, callTimeout, callTimeout
	cfg.Params = map[string]string{"transaction_isolation": "'READ-COMMITTED'", "time_zone": "'+00:00'"}
	if s.db, err = sql.Open("mysql", cfg.FormatDSN()); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(maxClients)
	s.db.SetMaxIdleConns(maxClients)
	s.cleaners = append(s.cleaners, s.db.Close)
	return nil
}

// deleteKeys removes the run's keys from Redis, where idempotency records would stay for a day.
func (s *stage) deleteKeys() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
	defer cancel()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.redis}, DisableCache: true})
	if err != nil {
		return fmt.Errorf("remove the keys of %s from Redis: %w", s.namespace, err)
	}
	defer client.Close()
	for cursor := uint64(0); ; {
		page, err := client.Do(ctx, client.B().Scan().Cursor(cursor).Match("*"+s.namespace+":*").Count(scanBatch).Build()).AsScanEntry()
		if err == nil && len(page.Elements) > 0 {
			err = client.Do(ctx, client.B().Unlink().Key(page.Elements...).Build()).Error()
		}
		if err != nil {
			return fmt.Errorf("remove the keys of %s from Redis: %w", s.namespace, err)
		}
		if cursor = page.Cursor; cursor == 0 {
			return nil
		}
	}
}
