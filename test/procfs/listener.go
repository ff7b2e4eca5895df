package procfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = "0A"

// ErrNoListener means that no visible process listens on the port.
var ErrNoListener = errors.New("no process of this machine listens on the port")

// errForwarder means that the port belongs to a forwarder of a container engine, with the server behind it.
var errForwarder = errors.New("a container engine forwards the port")

// Listener returns the id of the process that listens on the TCP port. It fails for a port that docker-proxy forwards: the CPU time of the
// forwarder is not that of the server.
func (f FS) Listener(port int) (pid int, err error) {
	sockets := f.listening(port, "net")
	if len(sockets) == 0 {
		return 0, fmt.Errorf("port %d: %w", port, ErrNoListener)
	}
	links, err := filepath.Glob(f.path("[0-9]*", "fd", "*"))
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !sockets[to] {
			continue // The process or the file is gone, or it is another file.
		}
		dir := filepath.Dir(filepath.Dir(link))
		if name, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil && strings.HasPrefix(string(name), "docker-proxy") {
			return 0, fmt.Errorf("port %d: %w", port, errForwarder)
		}
		return strconv.Atoi(filepath.Base(dir))
	}
	return 0, fmt.Errorf("port %d: %w", port, ErrNoListener)
}

// Listens reports whether the process holds a socket that listens on the TCP port, in whichever network namespace it is.
func (f FS) Listens(pid, port int) bool {
	sockets := f.listening(port, strconv.Itoa(pid), "net")
	links, err := filepath.Glob(f.path(strconv.Itoa(pid), "fd", "*"))
	if err != nil {
		return false
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && sockets[to] {
			return true
		}
	}
	return false
}

// listening returns the sockets that listen on the port, by the tables in the directory, as the targets of the links in /proc/PID/fd.
func (f FS) listening(port int, dir ...string) map[string]bool {
	out := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(f.path(append(slices.Clone(dir), table)...))
		if err != nil {
			continue // A kernel without IPv6 has only the first.
		}
		for line := range strings.Lines(string(text)) {
			// sl, local address, remote address, state, queues, timer, retransmissions, uid, timeout, inode.
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == tcpListen && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
				out["socket:["+fields[9]+"]"] = true
			}
		}
	}
	return out
}
