package realparts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = "0A"

// listens reports whether the process holds a socket that listens on the port.
func listens(pid, port int) bool {
	sockets := listeners(port)
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil && sockets[to] {
			return true
		}
	}
	return false
}

// listeners returns the sockets that listen on the port, as the names of the links in /proc/PID/fd.
func listeners(port int) map[string]bool {
	out := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // A kernel without IPv6 has only the first.
		}
		for line := range strings.Lines(string(text)) {
			// sl, local address, remote address, state, queues, timer, retransmissions, uid, timeout, inode.
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == tcpListen && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				out["socket:["+f[9]+"]"] = true
			}
		}
	}
	return out
}
