package realparts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// TestMySQL_Named: a server that the environment names is used, where those of `make services` are another user's, or there is no home.
func TestMySQL_Named(t *testing.T) {
	named := realparts.MySQL(t) // Of the machine's server, wherever that is.
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "mysql", "dsn"), 0o700); err != nil { // It cannot be read, also by root.
		t.Fatal(err)
	}
	t.Setenv("SPILLWAY_SERVICES_DIR", dir)
	t.Setenv("SPILLWAY_TEST_MYSQL", named)
	if got := realparts.MySQL(t); got == "" || got == named {
		t.Errorf("%q; want a database of its own", got)
	}
}
