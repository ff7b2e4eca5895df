package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

const (
	// mysqlConns bounds the connections of one process for checkouts, workers and operators; readConns and searchConns come on top. MySQL's
	// own default is 151 for all processes together.
	mysqlConns = 20
	// idleInTransaction is for how long MySQL waits for the next statement of a transaction: the locks of a process that was stopped, such as that of the
	// epoch, must not keep all others waiting until it continues. Between two statements of a transaction is at most one range of the journal, some ms.
	idleInTransaction = 15 * time.Second
	// connIdle closes connections before MySQL does, which does not tell an idle one from one in a transaction.
	connIdle = 5 * time.Second
	// connLife lets connections move to another server after a failover.
	connLife = 5 * time.Minute
	// sqliteConns: SQLite has one writer; more connections only serve reads beside it.
	sqliteConns = 8
	// pingTimeout bounds the ping of a server when it is opened.
	pingTimeout = 5 * time.Second
	// mysqlTimeout bounds a dial, and a single read or write on a connection: a frozen server must not hold a request.
	mysqlTimeout = 10 * time.Second
	// viewConns bounds the audits that one process runs at once; more wait.
	viewConns = 2
	// viewTimeout bounds a single read of an audit: the first row of a query over every order comes late.
	viewTimeout = 10 * time.Minute
)

// DB is one open database.
type DB struct {
	sql *sql.DB
	// views is for audits: their reads take longer than any other's may.
	views    *sql.DB
	viewsEnt *ent.Client
	// reads is for what customers read, searchPool for searches.
	reads, searchPool pool
	ent               *ent.Client
	dialect           string
	breaker           Breaker
	// all are the connections to a MySQL; nil for SQLite.
	all *conns
	// patience bounds a call beside the breaker's timeout; 0 is no bound.
	patience time.Duration
}

// sqlitePragmas: WAL lets readers go on beside the one writer. synchronous(FULL) puts each commit on disk, so that an
// acknowledged order survives a power cut as well as a kill.
const sqlitePragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)" +
	"&_txlock=immediate&_time_format=sqlite&_timezone=UTC"

// Open opens "sqlite:PATH", or a MySQL DSN in the form of go-sql-driver, "USER:PASSWORD@tcp(HOST:PORT)/DATABASE". It fails,
// without the password in the error, when the server does not answer.
func Open(ctx context.Context, dsn string) (*DB, error) {
	db, err := open(dsn)
	if err != nil {
		return nil, err
	}
	return db.pinged(ctx)
}

// MySQLConns is how many connections to a MySQL a process uses at most.
const MySQLConns = mysqlConns + readConns + searchConns + viewConns

// ConnLife is how long a process keeps a connection to a MySQL.
const ConnLife = connLife

// pinged closes a database that does not respond.
func (db *DB) pinged(ctx context.Context) (*DB, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func open(dsn string) (*DB, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return openSQLite(path), nil
	}
	return openMySQL(strings.TrimPrefix(dsn, "mysql:"), nil)
}

func openSQLite(path string) *DB { return openSQLiteWith(path, sqlitePragmas) }

// openSQLiteWith opens the file with the parameters of the driver.
func openSQLiteWith(path, parameters string) *DB {
	open := func() *sql.DB {
		return openPool(&sqliteConnector{dsn: "file:" + path + "?" + parameters}, dialect.SQLite)
	}
	db := open()
	db.SetMaxOpenConns(sqliteConns)
	db.SetMaxIdleConns(sqliteConns)
	return wrap(db, db, open(), open(), dialect.SQLite)
}

// openMySQL sets the session variables in params beside its own.
func openMySQL(dsn string, params map[string]string) (*DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		// The driver's error may quote the DSN, and with it the password.
		return nil, fmt.Errorf("the MySQL DSN is not of the form USER:PASSWORD@tcp(HOST:PORT)/DATABASE: %w", order.ErrInvalid)
	}
	if cfg.DBName == "" {
		return nil, fmt.Errorf("the MySQL DSN names no database: USER:PASSWORD@tcp(HOST:PORT)/DATABASE: %w", order.ErrInvalid)
	}
	cfg.ParseTime, cfg.Loc, cfg.InterpolateParams, cfg.ClientFoundRows = true, time.UTC, true, true
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = mysqlTimeout, mysqlTimeout, mysqlTimeout
	cfg.Params = map[string]string{
		"time_zone": "'+00:00'", "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
		"transaction_isolation": "'READ-COMMITTED'",
	}
	maps.Copy(cfg.Params, params)
	all := &conns{pools: make(map[*sql.DB]int)}
	writing := cfg.Clone()
	writing.Params["wait_timeout"] = strconv.FormatInt(int64(idleInTransaction.Seconds()), 10)
	db, err := connectMySQL(writing, mysqlConns, all)
	if err != nil {
		return nil, err
	}
	all.limit(db, mysqlConns)
	db.SetConnMaxIdleTime(connIdle)
	db.SetConnMaxLifetime(connLife)
	long := cfg.Clone()
	long.ReadTimeout = viewTimeout
	views, err := connectMySQL(long, viewConns, all)
	if err != nil {
		return nil, err
	}
	views.SetMaxIdleConns(0)
	reads, err := connectMySQL(cfg, readConns, all)
	if err != nil {
		return nil, err
	}
	searching := cfg.Clone()
	// A search that its caller gave up on would run on in the server.
	searching.Params["max_execution_time"] = strconv.FormatInt(searchPatience.Milliseconds(), 10)
	searches, err := connectMySQL(searching, searchConns, all)
	if err != nil {
		return nil, err
	}
	out := wrap(db, views, reads, searches, dialect.MySQL)
	all.limit(reads, readConns)
	all.limit(searches, searchConns)
	out.all = all
	return out, nil
}

// connectMySQL makes a pool; nothing is dialled before it is used.
func connectMySQL(cfg *mysql.Config, limit int, all *conns) (*sql.DB, error) {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("mysql at %s: %w", cfg.Addr, err)
	}
	db := openPool(&patientConnector{connector, all}, dialect.MySQL)
	db.SetMaxOpenConns(limit)
	return db, nil
}

func wrap(db, views, reads, searches *sql.DB, name string) *DB {
	return &DB{
		sql: db, views: views, viewsEnt: ent.NewClient(ent.Driver(entsql.OpenDB(name, views))), reads: newPool(reads, name, readConns, readPatience),
		searchPool: newPool(
			searches,
			name,
			searchConns,
			searchPatience,
		), ent: ent.NewClient(ent.Driver(entsql.OpenDB(name, db))), dialect: name, breaker: unguarded{},
	}
}

// Dialect is "mysql" or "sqlite3".
func (db *DB) Dialect() string { return db.dialect }

// Ping checks that the server responds.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.sql.PingContext(ctx); err != nil {
		return fmt.Errorf("the database (%s) does not answer: %w: %w", db.dialect, order.ErrUnavailable, err)
	}
	return nil
}

// Close closes all connections.
func (db *DB) Close() error {
	if db.views == db.sql {
		return errors.Join(db.closePools(), db.sql.Close())
	}
	return errors.Join(db.closePools(), db.views.Close(), db.sql.Close())
}

func (db *DB) isMySQL() bool { return db.dialect == dialect.MySQL }

// txTries is how often a transaction is run again after it lost to another one.
const txTries = 5

// txPause grows with each of these tries, so that the winner is done before the loser comes back.
const txPause = 5 * time.Millisecond

// tx runs f in a transaction, again when it was chosen as a deadlock's victim.
func (db *DB) tx(ctx context.Context, f func(ctx context.Context, tx *ent.Client) error) error {
	return db.retry(ctx, func(ctx context.Context) error { return db.txOnce(ctx, f) })
}

// retry runs f, which writes in one statement or one transaction, again when it was chosen as a deadlock's victim.
func (db *DB) retry(ctx context.Context, f func(ctx context.Context) error) error {
	return db.call(ctx, func(ctx context.Context) (err error) {
		for try := range txTries {
			if err = f(ctx); err == nil || !isRetryable(err) {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(try+1) * txPause):
			}
		}
		return err
	})
}

func (db *DB) txOnce(ctx context.Context, f func(ctx context.Context, tx *ent.Client) error) (err error) {
	tx, err := db.ent.Tx(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}()
	if err := f(ctx, tx.Client()); err != nil {
		return err
	}
	return tx.Commit()
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// sqliteConnector opens the pure-Go SQLite without registering a driver by a global name.
type sqliteConnector struct{ dsn string }
