package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MigrationStatus is one migration and when it was applied; nil if it was not.
type MigrationStatus struct {
	Version, Name string
	AppliedAt     *time.Time
}

// Migrator applies the reviewed migrations that are part of the program. They go forward only.
type Migrator struct{ db *DB }

// NewMigrator makes a migrator.
func NewMigrator(db *DB) *Migrator { return &Migrator{db: db} }

const (
	// migrateLock is the name of MySQL's lock that lets one process migrate at a time.
	migrateLock = "spillway_migrate"
	// migrateLockWait is how long another one is waited for.
	migrateLockWait = 30 * time.Second
	// migrateTime bounds one run of migrations: the index of a large table takes hours.
	migrateTime = 24 * time.Hour
)

func (db *DB) dialectDir() string {
	if db.isMySQL() {
		return "mysql"
	}
	return "sqlite"
}

// Up applies what is pending and returns the names of the migrations that it applied. On SQLite it applies all of them or none.
func (m *Migrator) Up(ctx context.Context) (applied []string, err error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if m.db.isMySQL() {
		return m.apply(ctx, m.db.sql)
	}
	return m.applyAtOnce(ctx)
}

// lock lets one process migrate at a time. SQLite is used by one process.
func (m *Migrator) lock(ctx context.Context) (unlock func() error, err error) {
	if !m.db.isMySQL() {
		return func() error { return nil }, nil
	}
	conn, err := m.db.sql.Conn(ctx)
	if err != nil {
		return nil, translate(err)
	}
	// It is idle while another connection migrates.
	if _, err := conn.ExecContext(ctx, "SET SESSION wait_timeout = ?", int64(migrateTime.Seconds())); err != nil {
		return nil, errors.Join(translate(err), conn.Close())
	}
	var got sql.NullInt64
	err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", migrateLock, int(migrateLockWait.Seconds())).Scan(&got)
	if err != nil || got.Int64 != 1 {
		return nil, errors.Join(err, conn.Close(), fmt.Errorf("another process is migrating; it did not end within %s", migrateLockWait))
	}
	return func() error {
		// The connection's end would free the lock too; a cancelled context must not keep it.
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT RELEASE_LOCK(?)", migrateLock)
		return errors.Join(err, conn.Close())
	}, nil
}

// Status lists all migrations.
func (m *Migrator) Status(ctx context.Context) ([]MigrationStatus, error) {
	dir, err := m.dir()
	if err != nil {
		return nil, err
	}
	files, err := dir.Files()
	if err != nil {
		return nil, err
	}
	rev := &revisions{conn: m.db.sql}
	done, err := rev.ReadRevisions(ctx)
	if err != nil && !errors.Is(translate(err), ErrNotMigrated) && !isNoTable(err) {
		return nil, translate(err)
	}
	out := make([]MigrationStatus, len(files))
	for i, f := range files {
		out[i] = MigrationStatus{Version: f.Version(), Name: f.Name()}
		for _, r := range done {
			if r.Version == f.Version() && r.Applied == r.Total {
				at := r.ExecutedAt.UTC()
				out[i].AppliedAt = &at
			}
		}
	}
	return out, nil
}

// Check fails with ErrNotMigrated when a migration is pending.
func (m *Migrator) Check(ctx context.Context) error {
	all, err := m.Status(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.AppliedAt == nil {
			return fmt.Errorf("%w: %s was not applied; run `spillway migrate up`", ErrNotMigrated, s.Name)
		}
	}
	return nil
}
