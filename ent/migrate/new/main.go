// Command new writes the migrations that lead from those there are to the present schema, for each dialect:
//
//	go run ./ent/migrate/new -mysql "$(cat ~/.cache/spillway/services/mysql/dsn)" NAME
//
// It replays the existing ones in an empty scratch database of the MySQL server that it creates and drops, and in SQLite
// in memory. Read what it wrote before you commit it.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	atlas "ariga.io/atlas/sql/migrate"
	_ "ariga.io/atlas/sql/mysql"  // Atlas opens mysql:// by it.
	_ "ariga.io/atlas/sql/sqlite" // Atlas opens sqlite:// by it.
	"entgo.io/ent/dialect"
	entschema "entgo.io/ent/dialect/sql/schema"
	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"

	"github.com/spillway/spillway/ent/migrate"
)

func main() {
	dsn := flag.String("mysql", "root@tcp(127.0.0.1:13306)/", "a MySQL server on which a scratch database may be created")
	root := flag.String("dir", "ent/migrate/migrations", "where the migrations are")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: new [-mysql DSN] [-dir DIR] NAME")
	}
	sql.Register("sqlite3", &sqlite.Driver{})
	if err := run(context.Background(), *dsn, *root, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dsn, root, name string) error {
	if err := diff(ctx, root+"/sqlite", dialect.SQLite, "sqlite://file?mode=memory&_pragma=foreign_keys(1)", name); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	scratch := "scratch_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+scratch+" CHARACTER SET utf8mb4"); err != nil {
		return err
	}
	defer func() {
		if _, err := db.ExecContext(ctx, "DROP DATABASE "+scratch); err != nil {
			log.Print(err)
		}
	}()
	url := fmt.Sprintf("mysql://%s:%s@%s/%s", cfg.User, cfg.Passwd, cfg.Addr, scratch)
	if err := diff(ctx, root+"/mysql", dialect.MySQL, url, name); err != nil {
		return fmt.Errorf("mysql: %w", err)
	}
	return nil
}

func diff(ctx context.Context, path, name, url, migration string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	dir, err := atlas.NewLocalDir(path)
	if err != nil {
		return err
	}
	return migrate.NamedDiff(ctx, url, migration, entschema.WithDialect(name), entschema.WithDir(dir),
		entschema.WithMigrationMode(entschema.ModeReplay), entschema.WithFormatter(atlas.DefaultFormatter))
}
