package realparts

import (
	"errors"
	"os"
	"testing"
	"time"
)

const (
	// removeTries and removePause bound how long the folder of a killed server may still get files.
	removeTries = 50
	removePause = 100 * time.Millisecond
)

// serverDir returns a folder for a server's data, which is removed when the test ends. It is no t.TempDir: a child of a Redis that was killed, which
// writes a snapshot, may add a file while the folder is removed.
func serverDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "spillway-server-") //nolint:usetesting // See above.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		for range removeTries {
			if err = os.RemoveAll(dir); err == nil || errors.Is(err, os.ErrNotExist) {
				return
			}
			<-time.After(removePause)
		}
		t.Errorf("remove the server's folder: %v", err)
	})
	return dir
}
