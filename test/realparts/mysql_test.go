package realparts_test

import (
	"database/sql"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// TestStartMySQL_KeepsCommitsAfterKill covers what the chaos tests rely on, also that the port stays the same.
func TestStartMySQL_KeepsCommitsAfterKill(t *testing.T) {
	p := realparts.StartMySQL(t)
	db, err := sql.Open("mysql", p.MySQL())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, end := range []func(){p.Kill9, p.Stop} {
		end()
		p.Restart()
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM t").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d rows after a restart (%v); want 1", n, err)
		}
	}
}

// TestOldMySQL_LosesWhatCameAfterTheCopy and keeps what was committed before it.
func TestOldMySQL_LosesWhatCameAfterTheCopy(t *testing.T) {
	m := realparts.StartOldMySQL(t)
	db, err := sql.Open("mysql", m.MySQL())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	m.Copy()
	if _, err := db.Exec("INSERT INTO t VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	m.KillForCopy()
	m.Restart()
	var n int
	if err := db.QueryRow("SELECT SUM(n) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("the rows after the restart add up to %d (%v); want 1", n, err)
	}
}
