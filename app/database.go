package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/store"
)

// MigrateUp applies the pending migrations and returns their names. Several processes may do so at once. On embedded storage it creates
// the data directory and the database.
func MigrateUp(ctx context.Context, cfg SQLConfig) (applied []string, err error) {
	if cfg.embedded() {
		if err := openDataDir(ctx, cfg.DataDir, slog.Default()); err != nil {
			return nil, err
		}
		if err := createPrivate(cfg.sqlitePath()); err != nil {
			return nil, fmt.Errorf("--data-dir: %w", err)
		}
	}
	err = openDB(ctx, cfg, func(db *store.DB) error {
		applied, err = store.NewMigrator(db).Up(ctx)
		return err
	})
	return applied, err
}

// Migrations lists all migrations, with the time at which each was applied.
func Migrations(ctx context.Context, cfg SQLConfig) (all []store.MigrationStatus, err error) {
	err = withDB(ctx, cfg, func(db *store.DB) error {
		all, err = store.NewMigrator(db).Status(ctx)
		return err
	})
	return all, err
}

// Seed creates the products of the demonstration catalogue in a database that never had products, and returns their number.
func Seed(ctx context.Context, cfg SQLConfig) (created int, err error) {
	err = withDB(ctx, cfg, func(db *store.DB) error {
		if err := store.NewMigrator(db).Check(ctx); err != nil {
			return err
		}
		created, err = seed(ctx, db)
		return err
	})
	return created, err
}

func seed(ctx context.Context, db *store.DB) (created int, err error) {
	products, err := catalog.Seed()
	if err != nil {
		return 0, err
	}
	return store.NewProducts(db).Seed(ctx, products)
}

// Durability returns the durability that the database records, empty before the first process has started. It records the new setting first,
// unless that is empty; no process may run meanwhile.
func Durability(ctx context.Context, cfg SQLConfig, setting string) (recorded string, err error) {
	err = withDB(ctx, cfg, func(db *store.DB) error {
		st := store.NewStock(db)
		if setting != "" {
			if err := st.SetDurability(ctx, partition, setting); err != nil {
				return err
			}
		}
		recorded, err = st.Durability(ctx, partition)
		return err
	})
	return recorded, err
}

// withDB opens a database that exists: opening SQLite would create an empty one.
func withDB(ctx context.Context, cfg SQLConfig, f func(db *store.DB) error) error {
	if cfg.embedded() {
		if _, err := os.Stat(cfg.sqlitePath()); err != nil {
			return fmt.Errorf("there is no database in %q (--data-dir), and no --mysql is given: %w", cfg.DataDir, err)
		}
	}
	return openDB(ctx, cfg, f)
}

func openDB(ctx context.Context, cfg SQLConfig, f func(db *store.DB) error) error {
	db, err := store.Open(ctx, cfg.dsn())
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}
