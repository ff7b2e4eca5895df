package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/mysql"
	"ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"

	"github.com/spillway/spillway/ent/migrate/migrations"
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
)

// dir is the embedded migrations of the dialect. Their checksums are verified: a file that was changed after its review is
// an error.
func (m *Migrator) dir() (migrate.Dir, error) {
	sub, err := fs.Sub(migrations.FS, m.db.dialectDir())
	if err != nil {
		return nil, err
	}
	dir := &migrate.MemDir{}
	files, err := fs.ReadDir(sub, ".")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		body, err := fs.ReadFile(sub, f.Name())
		if err != nil {
			return nil, err
		}
		if err := dir.WriteFile(f.Name(), body); err != nil {
			return nil, err
		}
	}
	if err := migrate.Validate(dir); err != nil {
		return nil, fmt.Errorf("the migrations are not those that were reviewed: %w", err)
	}
	return dir, nil
}

func (db *DB) dialectDir() string {
	if db.isMySQL() {
		return "mysql"
	}
	return "sqlite"
}

// Up applies what is pending and returns the names of the migrations that it applied.
func (m *Migrator) Up(ctx context.Context) (applied []string, err error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	ex, err := m.executor(ctx)
	if err != nil {
		return nil, err
	}
	pending, err := ex.Pending(ctx)
	if errors.Is(err, migrate.ErrNoPendingFiles) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find pending migrations: %w", translate(err))
	}
	for _, f := range pending {
		if err := ex.Execute(ctx, f); err != nil {
			return applied, fmt.Errorf("apply %s: %w", f.Name(), err)
		}
		applied = append(applied, f.Name())
	}
	return applied, nil
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

func (m *Migrator) executor(ctx context.Context) (*migrate.Executor, error) {
	dir, err := m.dir()
	if err != nil {
		return nil, err
	}
	drv, err := m.driver()
	if err != nil {
		return nil, fmt.Errorf("open the database for migrating: %w", translate(err))
	}
	rev := &revisions{db: m.db}
	if err := rev.create(ctx); err != nil {
		return nil, err
	}
	return migrate.NewExecutor(drv, dir, rev, migrate.WithAllowDirty(true))
}

func (m *Migrator) driver() (migrate.Driver, error) {
	var ex schema.ExecQuerier = m.db.sql
	if m.db.isMySQL() {
		return mysql.Open(ex)
	}
	return sqlite.Open(ex)
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
	rev := &revisions{db: m.db}
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
