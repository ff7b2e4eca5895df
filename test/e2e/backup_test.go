package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// backup is a dump of a MySQL database, as `mysqldump --single-transaction` makes it: the statements that create each table, and all rows, read in
// one transaction with one view. The client programs of MySQL are not on every machine with tests.
type backup struct {
	tables []tableDump
	taken  time.Time // when the view was opened
}

// tableDump is one table. An insert has as many arguments as columns.
type tableDump struct {
	name, create, insert string
	rows                 [][]any
}

// dump makes a backup of a database that is in use.
func dump(t *testing.T, dsn string) backup {
	t.Helper()
	db := openMySQL(t, dsn)
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var b backup
	for _, name := range texts(t, tx, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'") {
		b.tables = append(b.tables, dumpTable(t, tx, name))
		if b.taken.IsZero() {
			b.taken = time.Now()
		}
	}
	if len(b.tables) == 0 {
		t.Fatal("the database has no tables")
	}
	return b
}

func openMySQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxAllowedPacket = 0 // As the server allows.
	db, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// texts reads one column.
func texts(t *testing.T, from interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}, query string,
) (out []string) {
	t.Helper()
	rows, err := from.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func dumpTable(t *testing.T, tx *sql.Tx, name string) tableDump {
	t.Helper()
	out := tableDump{name: name}
	if err := tx.QueryRowContext(t.Context(), "SHOW CREATE TABLE `"+name+"`").Scan(new(string), &out.create); err != nil {
		t.Fatal(err)
	}
	// MySQL computes generated columns itself.
	columns := texts(t, tx, "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '"+name+
		"' AND generation_expression = '' ORDER BY ordinal_position")
	list := "`" + strings.Join(columns, "`, `") + "`"
	out.insert = fmt.Sprintf("INSERT INTO `%s` (%s) VALUES (?%s)", name, list, strings.Repeat(", ?", len(columns)-1))
	rows, err := tx.QueryContext(t.Context(), "SELECT "+list+" FROM `"+name+"`")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		out.rows = append(out.rows, scanRow(t, rows, types))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// scanRow reads binary columns as bytes and all others as text, which MySQL parses as it has written it.
func scanRow(t *testing.T, rows *sql.Rows, types []*sql.ColumnType) []any {
	t.Helper()
	raw, to := make([][]byte, len(types)), make([]any, len(types))
	for i := range raw {
		to[i] = &raw[i]
	}
	if err := rows.Scan(to...); err != nil {
		t.Fatal(err)
	}
	row := make([]any, len(types))
	for i, bytes := range raw {
		kind := types[i].DatabaseTypeName()
		switch {
		case bytes == nil:
		case strings.Contains(kind, "BINARY") || strings.Contains(kind, "BLOB") || kind == "BIT":
			row[i] = bytes
		default:
			row[i] = string(bytes)
		}
	}
	return row
}

// lose drops the database and makes an empty one.
func lose(t *testing.T, dsn string) {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := openMySQL(t, dsn)
	for _, statement := range []string{"DROP DATABASE " + cfg.DBName, "CREATE DATABASE " + cfg.DBName + " CHARACTER SET utf8mb4"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// restore writes the backup to an empty database.
func (b backup) restore(t *testing.T, dsn string) {
	t.Helper()
	ctx := context.Background()
	conn, err := openMySQL(t, dsn).Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	run := func(statement string, args ...any) {
		if _, err := conn.ExecContext(ctx, statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run("SET foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'")
	run("START TRANSACTION")
	for _, table := range b.tables {
		run(table.create)
		for _, row := range table.rows {
			run(table.insert, row...)
		}
	}
	run("COMMIT")
}
