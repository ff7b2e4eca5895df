package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/spillway/spillway/redisconn"
)

// SQLConfig locates the SQL database.
type SQLConfig struct {
	MySQL   string // DSN of a MySQL 8 database; empty: SQLite in DataDir
	DataDir string // directory of the embedded database, the development key and mails
}

func (c SQLConfig) embedded() bool { return c.MySQL == "" }

// sqlitePath is the file of the embedded database.
func (c SQLConfig) sqlitePath() string { return filepath.Join(c.DataDir, "spillway.db") }

// dsn is what store.Open takes.
func (c SQLConfig) dsn() string {
	if c.embedded() {
		return "sqlite:" + c.sqlitePath()
	}
	return c.MySQL
}

func (c SQLConfig) validate() error {
	if c.DataDir == "" {
		return errors.New("--data-dir: must not be empty")
	}
	return nil
}

// RedisConfig locates Redis.
type RedisConfig struct {
	Addr      string // HOST:PORT; empty: a Redis in this process
	Username  string
	Password  string
	TLS       bool
	Namespace string // prefix of each key
}

func (c RedisConfig) embedded() bool { return c.Addr == "" }

var namespacePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (c RedisConfig) validate() error {
	var errs []error
	if !c.embedded() {
		errs = append(errs, hostPort("--redis", c.Addr))
	}
	if !namespacePattern.MatchString(c.Namespace) {
		errs = append(errs, fmt.Errorf("--redis-namespace %q: take 1 to 64 letters, digits, '-' or '_'", c.Namespace))
	}
	return errors.Join(errs...)
}

func (c RedisConfig) stock() redisconn.Config {
	cfg := redisconn.Config{Addr: c.Addr, Username: c.Username, Password: c.Password}
	if c.TLS {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return cfg
}
