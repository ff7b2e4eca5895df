package store

import (
	"database/sql"
	"errors"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
)

const (
	// readConns bounds the connections for what customers read; readPatience is how long such a read may wait for one and run. It is
	// less than half of what SQL's breaker allows, so that a queue of readers never counts as a failure of SQL.
	readConns    = 10
	readPatience = 3 * time.Second
	// searchConns bounds the connections for searches, each of which reads the whole catalogue; searchPatience is how long one may wait
	// and run.
	searchConns    = 2
	searchPatience = time.Second
)

// pool is connections that only one kind of work uses, so that the others find theirs free when that floods the database.
type pool struct {
	sql *sql.DB
	ent *ent.Client
	// patience bounds a call; 0 leaves that to the breaker.
	patience time.Duration
}

func newPool(db *sql.DB, dialect string, conns int, patience time.Duration) pool {
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxLifetime(connLife)
	return pool{sql: db, ent: ent.NewClient(ent.Driver(entsql.OpenDB(dialect, db))), patience: patience}
}

// Reads is this database over the connections that are kept for what customers read. Checkouts and workers have the others. Guard comes
// before it, and Close is the original's.
func (db *DB) Reads() *DB { return db.over(db.reads) }

// searches is this database over the connections that are kept for searches.
func (db *DB) searches() *DB { return db.over(db.searchPool) }

func (db *DB) over(p pool) *DB {
	view := *db
	view.sql, view.ent, view.patience = p.sql, p.ent, p.patience
	return &view
}

// closePools closes the connections of readers and searches.
func (db *DB) closePools() error { return errors.Join(db.reads.sql.Close(), db.searchPool.sql.Close()) }
