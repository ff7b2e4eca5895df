package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"

	"github.com/spillway/spillway/ent/migrate/migrations"
)

// migrationConn is what migrations are applied over: a pool of MySQL, or a transaction of SQLite.
type migrationConn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// apply applies what is pending, statement by statement, and returns the names of the migrations that it applied.
func (m *Migrator) apply(ctx context.Context, conn migrationConn) (applied []string, err error) {
	ex, err := m.executor(ctx, conn)
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

// applyAtOnce applies what is pending in one transaction: a commit per statement costs SQLite one wait for the disk each. MySQL commits
// each change of the schema by itself, and has no such transaction.
func (m *Migrator) applyAtOnce(ctx context.Context) (applied []string, err error) {
	// Most starts find nothing to do, and take neither the lock of the writer nor a check of every row.
	if err := m.Check(ctx); !errors.Is(err, ErrNotMigrated) {
		return nil, err
	}
	err = m.withoutForeignKeys(ctx, func(tx *sql.Tx) error {
		applied, err = m.apply(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return applied, nil
}

// withoutForeignKeys runs f in a transaction in which a table with references to it can be replaced. The pragma has no effect within a
// transaction, so that those in the migrations have none; all references are checked before the commit instead.
func (m *Migrator) withoutForeignKeys(ctx context.Context, f func(tx *sql.Tx) error) (err error) {
	conn, err := m.db.sql.Conn(ctx)
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = off"); err != nil {
		return translate(err)
	}
	defer func() {
		// The connection goes back to the pool; a cancelled context must not keep it as it is.
		_, restoreErr := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = on")
		err = errors.Join(err, restoreErr)
	}()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	if err := errors.Join(f(tx), checkForeignKeys(ctx, tx)); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return translate(tx.Commit())
}

// checkForeignKeys fails if a row refers to one that does not exist.
func checkForeignKeys(ctx context.Context, tx *sql.Tx) error {
	var broken int
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM pragma_foreign_key_check").Scan(&broken); err != nil {
		return translate(err)
	}
	if broken > 0 {
		return fmt.Errorf("%d rows refer to rows that do not exist", broken)
	}
	return nil
}

func (m *Migrator) executor(ctx context.Context, conn migrationConn) (*migrate.Executor, error) {
	dir, err := m.dir()
	if err != nil {
		return nil, err
	}
	rev := &revisions{conn: conn}
	if err := rev.create(ctx); err != nil {
		return nil, err
	}
	return migrate.NewExecutor(&executeOnly{ExecQuerier: conn, mysql: m.db.isMySQL()}, dir, rev, migrate.WithAllowDirty(true))
}

// executeOnly is the part of Atlas' driver that executes reviewed migrations. Its drivers for MySQL and SQLite bring the language of schema files
// with them, 5 MB of the program that only ent/migrate/new needs.
type executeOnly struct {
	schema.ExecQuerier
	planner
	mysql bool
}

// planner is the part that reads and plans schemas, which applying a migration never calls.
type planner interface {
	schema.Differ
	schema.Inspector
	schema.Locker
	migrate.PlanApplier
	migrate.Snapshoter
}

// CheckClean accepts any database: one without revisions may have tables of others.
func (*executeOnly) CheckClean(context.Context, *migrate.TableIdent) error { return nil }

// ScanStmts splits a migration into statements, in the dialect of the database.
func (d *executeOnly) ScanStmts(input string) ([]*migrate.Stmt, error) {
	s := migrate.Scanner{ScannerOptions: migrate.ScannerOptions{MatchBegin: true, BackslashEscapes: d.mysql, HashComments: d.mysql}}
	return s.Scan(input)
}

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
