package app

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"

	"github.com/spillway/spillway/server"
)

const (
	// defaultConnections is how many connections the port has open at once at most: each costs some 15 kB, 250 MB together.
	defaultConnections = 16_384
	// reservedFiles are the open files of the process that are no connections of the port: those to SQL, Redis, the broker and the mail server, and files.
	reservedFiles = 256
	// minConnections is the least that --max-connections may be.
	minConnections = 16
)

// connections returns how many connections the port may have open at once, below the process's limit of open files: at the limit accepting
// fails, and so do connections to Redis and SQL.
func (c HTTPConfig) connections() int {
	files := openFiles()
	return max(minConnections, min(c.wantedConnections(), files-min(reservedFiles, files/2)))
}

// wantedConnections is how many the port would have open if files had no limit.
func (c HTTPConfig) wantedConnections() int { return cmp.Or(c.Connections, defaultConnections) }

func (c HTTPConfig) validateConnections() error {
	if c.Connections != 0 && (c.Connections < minConnections || c.Connections > maxCalls) {
		return fmt.Errorf("--max-connections %d: must be %d to %d, or 0", c.Connections, minConnections, maxCalls)
	}
	return nil
}

// bounded bounds the connections of the API's port. The configuration is valid.
func (c HTTPConfig) bounded(l net.Listener, log *slog.Logger) net.Listener {
	trusted, _ := c.proxies() // validate has parsed them.
	return server.LimitConns(l, server.NewConnLimits(c.connections(), trusted), log)
}

// boundedInternal bounds the connections of the internal port.
func (c HTTPConfig) boundedInternal(l net.Listener, log *slog.Logger) net.Listener {
	return server.LimitConns(l, server.NewInternalConnLimits(c.connections()), log)
}

// unlimitedFiles stands for no limit of open files.
const unlimitedFiles = 1 << 20
