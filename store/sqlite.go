package store

import (
	"context"
	"database/sql/driver"

	"modernc.org/sqlite"
)

// Connect opens one connection.
func (c *sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(c.dsn)
}

// Driver is the pure-Go SQLite.
func (*sqliteConnector) Driver() driver.Driver { return &sqlite.Driver{} }
