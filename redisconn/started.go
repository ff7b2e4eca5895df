package redisconn

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Started returns when the Redis behind the address was started, by the clock of this process, to a second. It reads that on a connection of its own,
// whatever instance is allowed. A Redis that does not report it is as old as can be: the time is zero.
func (c *Conn) Started(ctx context.Context) (time.Time, error) {
	addr, err := c.locate(ctx)
	if err != nil {
		return time.Time{}, err
	}
	conn, err := dialRedis(ctx, addr, &net.Dialer{Timeout: handshakeTimeout}, c.cfg.TLS)
	if err != nil {
		return time.Time{}, fmt.Errorf("connect to Redis at %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }()
	fields, err := c.fence.info(conn, "server")
	if err != nil {
		return time.Time{}, fmt.Errorf("read when Redis at %s was started: %w", addr, err)
	}
	seconds, err := strconv.Atoi(fields["uptime_in_seconds"])
	if err != nil {
		return time.Time{}, nil
	}
	return time.Now().Add(-time.Duration(seconds) * time.Second), nil
}

// info logs in and reads the fields of sections of INFO.
func (f *fence) info(conn net.Conn, sections ...string) (map[string]string, error) {
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	p := newRESP(conn)
	if err := f.auth.log(p); err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for _, section := range sections {
		text, err := p.text("INFO", section)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			fields[name] = value
		}
	}
	return fields, nil
}
