package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/redisconn"
)

// SQLConfig locates the SQL database.
type SQLConfig struct {
	MySQL    string // DSN of a MySQL 8 database; empty: SQLite in DataDir
	Password string // replaces the DSN's, if not empty
	DataDir  string // directory of the embedded database, the development key and mails
}

func (c SQLConfig) embedded() bool { return c.MySQL == "" }

// sqlitePath is the file of the embedded database.
func (c SQLConfig) sqlitePath() string { return filepath.Join(c.DataDir, "spillway.db") }

// dsn is what store.Open takes.
func (c SQLConfig) dsn() string {
	if c.embedded() {
		return "sqlite:" + c.sqlitePath()
	}
	if c.Password == "" {
		return c.MySQL
	}
	cfg, err := c.parse()
	if err != nil {
		return c.MySQL // store.Open explains what is wrong; Validate has refused it before.
	}
	cfg.Passwd = c.Password
	return cfg.FormatDSN()
}

func (c SQLConfig) parse() (*mysql.Config, error) {
	return mysql.ParseDSN(strings.TrimPrefix(c.MySQL, "mysql:"))
}

func (c SQLConfig) validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("--data-dir: must not be empty"))
	}
	if c.embedded() && c.Password != "" {
		errs = append(errs, errors.New("--mysql-password does nothing without --mysql"))
	}
	if !c.embedded() {
		// The driver's error may quote the DSN, and with it the password.
		if cfg, err := c.parse(); err != nil || cfg.DBName == "" {
			errs = append(errs, errors.New("--mysql: must be of the form USER:PASSWORD@tcp(HOST:PORT)/DATABASE"))
		}
	}
	return errors.Join(errs...)
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
