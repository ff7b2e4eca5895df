package mysqlproxy_test

import (
	"database/sql"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/test/mysqlproxy"
	"github.com/spillway/spillway/test/realparts"
)

// through is a database of the shared MySQL by a proxy, with a table of two rows.
func through(t *testing.T) (*mysqlproxy.Proxy, *sql.DB) {
	t.Helper()
	cfg, err := mysql.ParseDSN(realparts.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	p := mysqlproxy.Start(t, cfg.Addr)
	cfg.Addr, cfg.InterpolateParams = p.Addr(), true
	cfg.Logger = &mysql.NopLogger{}
	db, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	exec(t, db, "CREATE TABLE things (id INT PRIMARY KEY, name TEXT)")
	exec(t, db, "INSERT INTO things VALUES (1, ?), (2, ?)", "a", "b")
	return p, db
}

func exec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t *testing.T, db *sql.DB) (n int, err error) {
	t.Helper()
	err = db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM things").Scan(&n)
	return n, err
}

func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// TestProxy_InjectedErrorsReachTheClient: the statement is not executed, its connection goes on, and so do reads.
func TestProxy_InjectedErrorsReachTheClient(t *testing.T) {
	p, db := through(t)
	db.SetMaxOpenConns(1)
	end := p.Inject(mysqlproxy.Writes(mysqlproxy.Deadlock))
	for _, statement := range []string{"INSERT INTO things VALUES (3, 'c')", " update things SET name = 'x'", "SELECT id FROM things FOR UPDATE"} {
		if _, err := db.ExecContext(t.Context(), statement); number(err) != 1213 {
			t.Errorf("%s: %v; want 1213", statement, err)
		}
	}
	prepared, err := db.PrepareContext(t.Context(), "DELETE FROM things WHERE id = ?")
	if number(err) != 1213 {
		t.Errorf("prepared: %v, %v; want 1213", prepared, err)
	}
	if n, err := count(t, db); err != nil || n != 2 {
		t.Errorf("%d rows (%v); want 2", n, err)
	}
	if p.Injected() != 4 {
		t.Errorf("%d were injected; want 4", p.Injected())
	}
	end()
	exec(t, db, "INSERT INTO things VALUES (3, 'c')")
}

// TestProxy_RefusesConnections with the error that a full server responds with.
func TestProxy_RefusesConnections(t *testing.T) {
	p, db := through(t)
	p.Refuse(mysqlproxy.TooMany)
	if n, err := count(t, db); err != nil || n != 2 {
		t.Errorf("on the connection that there is: %d rows (%v)", n, err)
	}
	p.Sever()
	var err error
	for deadline := time.Now().Add(time.Minute); number(err) == 0 && time.Now().Before(deadline); {
		_, err = count(t, db)
	}
	if number(err) != 1040 {
		t.Errorf("a new connection: %v; want 1040", err)
	}
	p.Refuse(nil)
	if n, err := count(t, db); err != nil || n != 2 {
		t.Errorf("after it: %d rows (%v)", n, err)
	}
}

// TestProxy_MovesToAnotherServer for new connections only.
func TestProxy_MovesToAnotherServer(t *testing.T) {
	p, db := through(t)
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nowhere.Close()
	p.MoveTo(nowhere.Addr().String())
	if n, err := count(t, db); err != nil || n != 2 {
		t.Errorf("the old connection: %d rows (%v)", n, err)
	}
	p.Sever()
	if _, err := count(t, db); err == nil {
		t.Error("a new connection reaches the old server")
	}
}
