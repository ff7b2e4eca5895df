package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/store"
)

// An audit of a new SQLite database, which has nothing to violate.
func ExampleRun() {
	if err := auditNewDatabase(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: ok: true, violated rules: 0
}

func auditNewDatabase(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // A temporary directory.
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, "shop.db"))
	if err != nil {
		return err
	}
	if _, err := store.NewMigrator(db).Up(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	report, err := audit.Run(ctx, store.NewAudits(db), audit.Options{Drained: true})
	if err == nil {
		fmt.Printf("ok: %v, violated rules: %d\n", report.OK, report.ViolatedRules())
	}
	return errors.Join(err, db.Close())
}
