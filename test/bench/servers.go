package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spillway/spillway/test/procfs"
)

// dialTimeout is the timeout of the check whether a server listens.
const dialTimeout = 2 * time.Second

var errServices = errors.New("run `make services`, or `make bench`, which does")

// server returns the address in the variable, if a server listens there.
func server(variable, what string) (string, error) {
	addr := os.Getenv(variable)
	if addr == "" {
		return "", fmt.Errorf("%s does not name a %s: %w", variable, what, errServices)
	}
	return addr, reach(what, addr)
}

func reach(what, addr string) error {
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return fmt.Errorf("no %s at %s: %w (%w)", what, addr, errServices, err)
	}
	return c.Close()
}

// findServers looks up the processes of the real servers. One that is not found has no CPU time in the report.
func (s *stage) findServers(addrs map[string]string) {
	s.servers = map[string]int{}
	for name, addr := range addrs {
		port, _ := strconv.Atoi(portOf(addr))
		pid, err := procfs.FS{}.Listener(port)
		if err != nil {
			s.notes = append(s.notes, fmt.Sprintf("no CPU time of %s: %v", name, err))
			continue
		}
		s.servers[name] = pid
	}
	if s.servers[nameProxy] == s.servers[nameBroker] && s.servers[nameBroker] != 0 {
		delete(s.servers, nameProxy)
		s.notes = append(s.notes, "RocketMQ's broker and proxy are one process here, with the CPU time of both under broker")
	}
}

// portOf returns the port of HOST:PORT, or nothing.
func portOf(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return port
}

// defaultBrokerPort is that of deploy/native/lib.sh.
const defaultBrokerPort = "20911"

// brokerAddr returns the address of the broker behind the proxy: on the same machine, on the port that `make services` uses.
func brokerAddr(proxy string) string {
	port := os.Getenv("ROCKETMQ_BROKER_PORT")
	if port == "" {
		port = defaultBrokerPort
	}
	host, _, _ := net.SplitHostPort(proxy)
	return net.JoinHostPort(host, port)
}
