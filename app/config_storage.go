package app

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
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
	Addr               string // as redisconn.ParseAddress reads it; empty: a Redis in this process
	Username, Password string // replace those in Addr, if not empty
	// SentinelUsername and SentinelPassword are for the Sentinels; empty: they do not authenticate.
	SentinelUsername, SentinelPassword string
	TLS                                bool   // also with an Addr that does not require it
	CAFile                             string // PEM file of the authorities that sign the certificates; empty: those of the system
	Namespace                          string // prefix of each key
}

func (c RedisConfig) embedded() bool { return c.Addr == "" }

var namespacePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (c RedisConfig) validate() error {
	var errs []error
	if !c.embedded() {
		_, err := c.connection()
		errs = append(errs, err)
	}
	if !namespacePattern.MatchString(c.Namespace) {
		errs = append(errs, fmt.Errorf("--redis-namespace %q: take 1 to 64 letters, digits, '-' or '_'", c.Namespace))
	}
	return errors.Join(errs...)
}

// connection is what redisconn.Connect takes. Errors do not contain secrets.
func (c RedisConfig) connection() (redisconn.Config, error) {
	at, err := redisconn.ParseAddress(c.Addr)
	if err != nil {
		return redisconn.Config{}, fmt.Errorf("--redis: %w", err)
	}
	cfg := redisconn.Config{
		Addr: at.Addr, Sentinels: at.Sentinels, Primary: at.Primary,
		Username: cmp.Or(c.Username, at.Username), Password: cmp.Or(c.Password, at.Password),
		SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
	}
	if cfg.Username != "" && cfg.Password == "" {
		return cfg, errors.New("--redis-username needs a password: --redis-password or --redis-password-file")
	}
	if len(cfg.Sentinels) == 0 && (c.SentinelUsername != "" || c.SentinelPassword != "") {
		return cfg, errors.New("--redis-sentinel-username and --redis-sentinel-password need a --redis redis-sentinel://…")
	}
	if at.TLS || c.TLS {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CAFile != "" && cfg.TLS == nil {
		return cfg, errors.New("--redis-ca-file needs TLS: --redis-tls, or --redis rediss://…")
	}
	return cfg, trust(cfg.TLS, "--redis-ca-file", c.CAFile)
}

// trust makes connections trust the authorities in the flag's PEM file instead of the system's. No file changes nothing.
func trust(cfg *tls.Config, flag, file string) error {
	if file == "" {
		return nil
	}
	roots, err := readAuthorities(flag, file)
	if err == nil {
		cfg.RootCAs = roots
	}
	return err
}

// readAuthorities reads the authorities in the flag's PEM file.
func readAuthorities(flag, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s %s: has no PEM certificate", flag, file)
	}
	return roots, nil
}
