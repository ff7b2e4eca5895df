package realparts

import (
	"os"
	"path/filepath"
	"testing"
)

// OldMySQL is a private MySQL that can restart with older data, as after a failover to a replica that was behind.
type OldMySQL struct {
	*Proc

	dir string
}

// StartOldMySQL starts an OldMySQL.
func StartOldMySQL(t testing.TB) *OldMySQL {
	t.Helper()
	dir := serverDir(t)
	return &OldMySQL{Proc: startMySQL(t, dir), dir: dir}
}

// Copy copies the data directory while the server is frozen: what was committed is in the copy, as it is after a kill.
func (m *OldMySQL) Copy() {
	m.t.Helper()
	copied := filepath.Join(m.dir, "copy")
	if err := os.RemoveAll(copied); err != nil {
		m.t.Fatal(err)
	}
	m.Pause()
	defer m.Resume()
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(m.dir, mysqlData))); err != nil {
		m.t.Fatalf("copy the data directory of MySQL: %v", err)
	}
}

// KillForCopy kills the server and puts the copy in the place of its data.
func (m *OldMySQL) KillForCopy() {
	m.t.Helper()
	m.Kill9()
	data := filepath.Join(m.dir, mysqlData)
	if err := os.RemoveAll(data); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(m.dir, "copy"), data); err != nil {
		m.t.Fatalf("put the copy of MySQL's data directory back: %v", err)
	}
}
