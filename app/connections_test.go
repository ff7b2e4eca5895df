package app

import "testing"

// TestConnections_BelowTheLimitOfOpenFiles: some are left for Redis, SQL and the broker, also where the limit is low.
func TestConnections_BelowTheLimitOfOpenFiles(t *testing.T) {
	t.Parallel()
	files := openFiles()
	for _, configured := range []int{0, minConnections, maxCalls} {
		c := HTTPConfig{Connections: configured}
		if got := c.connections(); got < minConnections || got > files-min(reservedFiles, files/2) || configured != 0 && got > configured {
			t.Errorf("%d connections with --max-connections %d and %d files", got, configured, files)
		}
		if err := c.validateConnections(); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range []int{-1, 1, maxCalls + 1} {
		if (HTTPConfig{Connections: wrong}).validateConnections() == nil {
			t.Errorf("--max-connections %d is taken", wrong)
		}
	}
}
