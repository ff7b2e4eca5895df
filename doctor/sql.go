package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/store"
)

var sqlChecks = []Check{
	{"sql.reachable", "The database is reached, and accepts the user.", nil, checkSQL},
	{"sql.migrations", "No migration is pending.", []string{"sql.reachable"}, checkMigrations},
}

func checkSQL(ctx context.Context, s *session) Result {
	cfg := s.cfg.SQL
	if cfg.Addr == "" {
		if _, err := os.Stat(cfg.File); errors.Is(err, fs.ErrNotExist) {
			return blocked("there is no %s yet; the first start of `spillway all` makes it", cfg.File)
		}
	}
	began := time.Now()
	db, err := store.OpenReadOnly(ctx, cfg.DSN)
	if err != nil {
		return fail(sqlAdvice(cfg, err), "%v", err)
	}
	s.db = db
	s.later(func() { _ = db.Close() })
	if cfg.Addr == "" {
		return ok("%s can be read", cfg.File)
	}
	return ok("MySQL at %s responds within %s", cfg.Addr, time.Since(began).Round(100*time.Microsecond))
}

// sqlAdvice is what to do about a database that cannot be opened.
func sqlAdvice(cfg *SQL, err error) string {
	text := err.Error()
	switch {
	case cfg.Addr == "":
		return "give the file to the user of the process (`chown`), or name another directory: --data-dir (SPILLWAY_DATA_DIR)"
	case strings.Contains(text, "Error 1045"), strings.Contains(text, "Error 1044"):
		return "correct user and password in --mysql or --mysql-password-file, or `GRANT ALL ON DATABASE.* TO USER`"
	case strings.Contains(text, "Error 1049"):
		return "`CREATE DATABASE NAME CHARACTER SET utf8mb4`, then `spillway migrate up`; or correct the name in --mysql (SPILLWAY_MYSQL)"
	case strings.Contains(text, "Error 1040"), strings.Contains(text, "Error 1203"), strings.Contains(text, "Error 1226"):
		return "raise max_connections of MySQL (`SET PERSIST max_connections = 500`), or the user's MAX_USER_CONNECTIONS"
	case strings.Contains(text, "x509"), strings.Contains(text, "tls"), strings.Contains(text, "TLS"):
		return "correct tls= in --mysql (SPILLWAY_MYSQL): the certificate must be trusted and name the host"
	}
	return "start MySQL, or correct its address: --mysql (SPILLWAY_MYSQL)"
}

func checkMigrations(ctx context.Context, s *session) Result {
	all, err := store.NewMigrator(s.db).Status(ctx)
	if err != nil {
		return fail("`GRANT ALL ON DATABASE.* TO USER`, or read the error", "%v", err)
	}
	var pending []string
	for _, m := range all {
		if m.AppliedAt == nil {
			pending = append(pending, m.Name)
		}
	}
	switch {
	case len(pending) == 0:
		return ok("all %d migrations are applied", len(all))
	case s.cfg.SQL.Embedded:
		return blocked("%d of %d migrations are pending; a start of `spillway all` applies them", len(pending), len(all))
	}
	return fail("run `spillway migrate up`", "%d of %d migrations are pending, from %s on", len(pending), len(all), pending[0])
}

// variable is a number among MySQL's variables; -1 if there is none.
func (s *session) variable(name string) int64 {
	n, err := strconv.ParseInt(s.server.Variables[name], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// isOn reports whether a variable of MySQL is on.
func (s *session) isOn(name string) bool {
	v := s.server.Variables[name]
	return v == "ON" || v == "1"
}
