package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Server is how a MySQL is configured, as the sessions of the shop see it.
type Server struct {
	// Variables are the global variables of serverVariables by name; those that the server does not have are absent.
	Variables map[string]string
	// Isolation and Charset are those of the session and of the database. Cipher is that of the connection; empty without TLS.
	Isolation, Charset, Cipher string
	// Connected is the number of connections that are open, of all clients.
	Connected string
	// Tables are those of the database.
	Tables []Table
}

// Table is a table of the database. Its engine and collation are empty for a view.
type Table struct{ Name, Engine, Collation string }

// serverVariables are the variables that Server has.
const serverVariables = `'version', 'version_comment', 'read_only', 'super_read_only', 'innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog',
	'binlog_format', 'max_connections', 'max_user_connections', 'wait_timeout'`

// ReadServer reads the configuration of a MySQL. It changes nothing.
func ReadServer(ctx context.Context, db *DB) (s Server, err error) {
	if s.Variables, err = db.pairs(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ("+serverVariables+")"); err != nil {
		return s, err
	}
	session, err := db.pairs(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation', 'character_set_database')")
	if err != nil {
		return s, err
	}
	status, err := db.pairs(ctx, "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'Threads_connected')")
	if err != nil {
		return s, err
	}
	s.Isolation, s.Charset = session["transaction_isolation"]+session["tx_isolation"], session["character_set_database"]
	s.Cipher, s.Connected = status["Ssl_cipher"], status["Threads_connected"]
	s.Tables, err = db.tables(ctx)
	return s, err
}

// Clock reads the clock of a MySQL.
func Clock(ctx context.Context, db *DB) (at time.Time, err error) {
	if err = db.sql.QueryRowContext(ctx, "SELECT UTC_TIMESTAMP(6)").Scan(&at); err != nil {
		return at, fmt.Errorf("read the clock of the database: %w", translate(err))
	}
	return at, nil
}

// pairs runs a SHOW statement with rows of a name and a value.
func (db *DB) pairs(ctx context.Context, query string) (map[string]string, error) {
	out := map[string]string{}
	err := db.scan(ctx, query, func(rows *sql.Rows) error {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		out[name] = value
		return nil
	})
	return out, err
}

func (db *DB) tables(ctx context.Context) (out []Table, err error) {
	const query = "SELECT TABLE_NAME, COALESCE(ENGINE, ''), COALESCE(TABLE_COLLATION, '') FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"
	err = db.scan(ctx, query, func(rows *sql.Rows) error {
		var t Table
		if err := rows.Scan(&t.Name, &t.Engine, &t.Collation); err != nil {
			return err
		}
		out = append(out, t)
		return nil
	})
	return out, err
}

// scan calls f for each row of a statement.
func (db *DB) scan(ctx context.Context, query string, f func(rows *sql.Rows) error) error {
	rows, err := db.sql.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("read the configuration of the database: %w", translate(err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
