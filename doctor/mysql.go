package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/store"
)

var (
	needsMySQL = []string{"mysql.settings"}

	mysqlChecks = []Check{
		{"mysql.settings", "Its settings can be read.", []string{"sql.reachable"}, readMySQL},
		{"mysql.version", "It is MySQL 8.0.16 or later, which enforces CHECK constraints.", needsMySQL, checkMySQLVersion},
		{"mysql.clock", "Its clock is this machine's, to a second.", needsMySQL, checkMySQLClock},
		{"mysql.tls", "TLS is spoken to a MySQL on another machine.", needsMySQL, checkMySQLTLS},
		{"mysql.writable", "It takes writes: it is not `read_only`.", needsMySQL, checkWritable},
		{"mysql.isolation", "The shop's sessions have the isolation READ COMMITTED that they set.", needsMySQL, checkIsolation},
		{"mysql.charset", "The database and its tables are utf8mb4.", needsMySQL, checkCharset},
		{"mysql.engine", "All tables are InnoDB's.", needsMySQL, checkEngine},
		{"mysql.flush", "A commit is on disk (`innodb_flush_log_at_trx_commit = 1`).", needsMySQL, checkFlush},
		{
			"mysql.binlog",
			"With a binary log, a commit is on disk there as well (`sync_binlog = 1`), and it has rows (`binlog_format = ROW`).",
			needsMySQL,
			checkBinlog,
		},
		{"mysql.connections", "It has room for the connections of this process (`max_connections`).", needsMySQL, checkMySQLConnections},
		{"mysql.timeout", "It keeps idle connections for as long as the shop does (`wait_timeout`).", needsMySQL, checkWaitTimeout},
	}
)

func readMySQL(ctx context.Context, s *session) Result {
	var err error
	if s.server, err = store.ReadServer(ctx, s.db); err != nil {
		return fail("let the user read its database: `GRANT ALL ON DATABASE.* TO USER`", "%v", err)
	}
	return ok("%d settings and %d tables were read", len(s.server.Variables), len(s.server.Tables))
}

// oldestMySQL is the first version that enforces CHECK constraints: a stock below zero is refused.
var oldestMySQL = [3]int{8, 0, 16}

func checkMySQLVersion(_ context.Context, s *session) Result {
	version, comment := s.server.Variables["version"], s.server.Variables["version_comment"]
	const fix = "use MySQL 8.0.16 or later"
	var got [3]int
	number, _, _ := strings.Cut(version, "-")
	for i, part := range strings.SplitN(number, ".", len(got)) {
		got[i], _ = strconv.Atoi(part) // What is no number is too old.
	}
	switch {
	case strings.Contains(strings.ToLower(version+comment), "mariadb"):
		return fail(fix, "it is MariaDB %s, which the shop is not tested on", version)
	case !atLeast(got, oldestMySQL):
		return fail(fix, "it is MySQL %s, which does not enforce CHECK constraints", version)
	}
	return ok("MySQL %s %s", version, comment)
}

func atLeast(got, least [3]int) bool {
	for i := range got {
		if got[i] != least[i] {
			return got[i] > least[i]
		}
	}
	return true
}

func checkMySQLClock(ctx context.Context, s *session) Result {
	return s.skew(ctx, "MySQL", func(ctx context.Context) (time.Time, error) { return store.Clock(ctx, s.db) })
}

func checkMySQLTLS(_ context.Context, s *session) Result {
	r, good := localOrTLS("MySQL", s.cfg.SQL.Addr, s.server.Cipher != "")
	if !good {
		return plainText("MySQL", s.cfg.SQL.Addr, "add tls=true to the parameters of --mysql (SPILLWAY_MYSQL): USER:PASS@tcp(HOST:PORT)/DB?tls=true")
	}
	return r
}

func checkWritable(_ context.Context, s *session) Result {
	if s.isOn("read_only") || s.isOn("super_read_only") {
		return fail("name the primary: --mysql (SPILLWAY_MYSQL); or `SET PERSIST super_read_only = OFF, PERSIST read_only = OFF`", "it is read-only, as a replica is")
	}
	return ok("it takes writes")
}

func checkIsolation(_ context.Context, s *session) Result {
	if got := s.server.Isolation; got != "READ-COMMITTED" {
		return fail("let the proxy before MySQL pass on `SET transaction_isolation`", "sessions of the shop have %s although they set READ-COMMITTED", got)
	}
	return ok("the shop's sessions have READ-COMMITTED")
}

func checkCharset(_ context.Context, s *session) Result {
	var wrong []string
	for _, t := range s.server.Tables {
		if t.Collation != "" && !strings.HasPrefix(t.Collation, "utf8mb4") {
			wrong = append(wrong, fmt.Sprintf("%s is %s", t.Name, t.Collation))
		}
	}
	if len(wrong) > 0 {
		return fail("`ALTER TABLE NAME CONVERT TO CHARACTER SET utf8mb4` for each, while no process runs", "tables cannot store every name: %s", listed(wrong))
	}
	if got := s.server.Charset; got != "utf8mb4" {
		return warn("`ALTER DATABASE NAME CHARACTER SET utf8mb4`", "new tables of the database would be %s", got)
	}
	return ok("the database and its %d tables are utf8mb4", len(s.server.Tables))
}

// maxListed bounds the names in one result.
const maxListed = 5

// listed joins names, the first ones.
func listed(names []string) string {
	if len(names) <= maxListed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
}

func checkEngine(_ context.Context, s *session) Result {
	var wrong []string
	for _, t := range s.server.Tables {
		if t.Engine != "" && t.Engine != "InnoDB" {
			wrong = append(wrong, fmt.Sprintf("%s is %s", t.Name, t.Engine))
		}
	}
	if len(wrong) > 0 {
		return fail("`ALTER TABLE NAME ENGINE = InnoDB` for each, while no process runs", "tables without transactions: %s", listed(wrong))
	}
	return ok("all tables are InnoDB's")
}

func checkFlush(_ context.Context, s *session) Result {
	if n := s.variable("innodb_flush_log_at_trx_commit"); n != 1 {
		return fail(
			"`SET PERSIST innodb_flush_log_at_trx_commit = 1`",
			"innodb_flush_log_at_trx_commit is %d: a crash loses the commits of a second, charges among them",
			n,
		)
	}
	return ok("innodb_flush_log_at_trx_commit is 1")
}

func checkBinlog(_ context.Context, s *session) Result {
	if !s.isOn("log_bin") {
		return ok("there is no binary log, so no replica and no restore to a point in time")
	}
	if format := s.server.Variables["binlog_format"]; format != "" && format != "ROW" {
		return fail(
			"`SET PERSIST binlog_format = 'ROW'`, and reconnect",
			"binlog_format is %s, in which MySQL refuses writes at READ COMMITTED or replicas differ",
			format,
		)
	}
	if n := s.variable("sync_binlog"); n != 1 {
		return warn("`SET PERSIST sync_binlog = 1`", "sync_binlog is %d: after a crash replicas may lack commits, or have others", n)
	}
	return ok("sync_binlog is 1, with rows")
}

func checkMySQLConnections(_ context.Context, s *session) Result {
	most, user := s.variable("max_connections"), s.variable("max_user_connections")
	if user > 0 {
		most = min(most, user)
	}
	open, err := strconv.ParseInt(s.server.Connected, 10, 64)
	found := fmt.Sprintf("%d of %d connections are open; this process uses up to %d", open, most, store.MySQLConns)
	fix := fmt.Sprintf("`SET PERSIST max_connections = N`, with %d for each process and some for operators", store.MySQLConns)
	switch {
	case most < 0 || err != nil:
		return unused("MySQL does not report its connections")
	case most < store.MySQLConns:
		return fail(fix, "%s", found)
	case most-open < store.MySQLConns:
		return warn(fix, "%s, unless it runs already", found)
	}
	return ok("%s", found)
}

func checkWaitTimeout(_ context.Context, s *session) Result {
	timeout := time.Duration(s.variable("wait_timeout")) * time.Second
	if timeout <= store.ConnLife {
		return warn(fmt.Sprintf("`SET PERSIST wait_timeout = %d`", 2*int(store.ConnLife.Seconds())),
			"wait_timeout is %s, and the shop keeps a connection for %s: reads meet closed ones", timeout, store.ConnLife)
	}
	return ok("wait_timeout is %s", timeout)
}
