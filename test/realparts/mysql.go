package realparts

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlDatabase is the database that StartMySQL creates.
const mysqlDatabase = "spillway"

// StartMySQL starts a private MySQL with a data directory of the test and default durability. It uses the server that
// deploy/native/mysql.sh unpacked, so that the test can kill its process, which would not be possible in a container.
func StartMySQL(t testing.TB) *Proc {
	t.Helper()
	return startMySQL(t, serverDir(t))
}

// mysqlData is the data directory of a private MySQL, in its own directory.
const mysqlData = "data"

func startMySQL(t testing.TB, dir string) *Proc {
	t.Helper()
	program, port := mysqld(t), FreePort(t)
	data, log := filepath.Join(dir, mysqlData), filepath.Join(dir, "log")
	args := slices.Concat(program[1:], []string{"--datadir=" + data, "--user=root"})
	if out, err := output(nil, program[0], append(slices.Clone(args), "--initialize-insecure")...); err != nil {
		t.Fatalf("initialize a MySQL: %v\n%s", err, out)
	}
	script := filepath.Join(dir, "init.sql")
	if err := os.WriteFile(script, []byte("CREATE DATABASE IF NOT EXISTS "+mysqlDatabase+" CHARACTER SET utf8mb4;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(args, "--port="+port, "--bind-address=127.0.0.1", "--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"),
		"--mysqlx=OFF", "--secure-file-priv=NULL", "--skip-log-bin", "--performance-schema=OFF", "--max-connections=1000",
		"--innodb-buffer-pool-size=128M", "--innodb-redo-log-capacity=128M", "--character-set-server=utf8mb4",
		"--default-time-zone=+00:00", "--init-file="+script, "--log-error="+log)
	p := &Proc{t: t, addr: "127.0.0.1:" + port}
	p.start = func() (*process, error) {
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		running, err := child(exec.Command(program[0], args...), number, log)
		if err != nil {
			return nil, fmt.Errorf("start a MySQL: %w", err)
		}
		err = running.started("MySQL", func() bool { return mysqlReady(p.MySQL()) })
		return running, err
	}
	t.Cleanup(p.Kill9)
	p.run()
	return p
}

// MySQL returns the DSN of the database that StartMySQL created.
func (p *Proc) MySQL() string { return p.DSN("root") }

// DSN is MySQL for another user, who must exist.
func (p *Proc) DSN(user string) string { return user + "@tcp(" + p.addr + ")/" + mysqlDatabase }

// mysqld returns the part of the server's command line that does not depend on the test. It runs by the loader of its
// own root, so that it may use files outside of it, such as the test's directory.
func mysqld(t testing.TB) []string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "..", "..", "deploy", "native", "mysql.sh")
	if out, err := output(nil, script, "prepare"); err != nil {
		t.Fatalf("this test kills a MySQL of its own, which needs the one that `deploy/native/mysql.sh prepare` unpacks (as root, on Debian; "+
			"also where `make services` uses Docker): %v\n%s", err, out)
	}
	root := filepath.Join(ServicesDir(t), "mysql", "root")
	loaders, libraries := match(t, root, "lib64/ld-linux*.so.*", "lib/ld-linux*.so.*"), match(t, root, "usr/lib/*-linux-gnu")
	return []string{
		loaders[0], "--library-path", strings.Join(libraries, ":"), filepath.Join(root, "usr", "sbin", "mysqld"),
		"--no-defaults", "--basedir=" + filepath.Join(root, "usr"), "--lc-messages-dir=" + filepath.Join(root, "usr", "share", "mysql"),
	}
}

// match returns the files of the root that match one of the patterns.
func match(t testing.TB, root string, patterns ...string) []string {
	t.Helper()
	var out []string
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		t.Fatalf("the MySQL in %s has none of %v: remove it and run `deploy/native/mysql.sh prepare`", root, patterns)
	}
	return out
}

// mysqlReady is false while the server still recovers from a crash.
func mysqlReady(dsn string) bool {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return false
	}
	// The port is checked first, because the driver logs each failed handshake.
	c, err := net.DialTimeout("tcp", cfg.Addr, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return false
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return db.PingContext(ctx) == nil
}
