package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// sentinelTimeout bounds the look-up of the primary: a Sentinel that does not respond within it has no vote.
const sentinelTimeout = time.Second

// ErrNoMajority means that no majority of the Sentinels names the Redis as the primary: it may have been replaced, or this process may be
// cut off together with it. No epoch is opened on it.
var ErrNoMajority = errors.New("no majority of the Sentinels names this Redis as the primary")

// sentinels locate the primary by a majority. A single Sentinel does not suffice: one that is cut off together with the old primary still
// names it after the others have promoted a replica. Any two majorities share a Sentinel, and what a Sentinel names never goes back to an
// older failover, so that once a majority names another primary, no majority names the old one.
type sentinels struct {
	addrs []string
	name  string
	auth  credentials
	tls   *tls.Config
}

// vote is one Sentinel's reply.
type vote struct {
	id   string // of the Sentinel
	addr string // of the primary
	// known is how many Sentinels it knows, with itself.
	known int
	err   error
}

// primary returns the address of the primary that a majority names: of the listed Sentinels, or of those that one of them knows, if these are
// more. A Sentinel that is listed by two names, such as that of a service and its own, has one vote.
func (s *sentinels) primary(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sentinelTimeout)
	defer cancel()
	votes := make(chan vote, len(s.addrs))
	for _, addr := range s.addrs {
		go func() { votes <- s.vote(ctx, addr) }()
	}
	all, counts := len(s.addrs), make(map[string]int)
	voted := make(map[string]bool)
	var errs []error
	for range s.addrs {
		v := <-votes
		if v.err != nil {
			errs = append(errs, v.err)
			continue
		}
		if all = max(all, v.known); voted[v.id] {
			continue
		}
		voted[v.id] = true
		if counts[v.addr]++; counts[v.addr] > all/2 {
			return v.addr, nil
		}
	}
	return "", fmt.Errorf("%w: of %d Sentinels (%d are listed) they name %v: %w", ErrNoMajority, all, len(s.addrs), counts, errors.Join(errs...))
}

// vote reads the vote of the Sentinel at the address.
func (s *sentinels) vote(ctx context.Context, addr string) vote {
	v, err := s.read(ctx, addr)
	if err != nil {
		err = diagnose(ctx, addr, s.tls, err)
		if refused := Refused(err); refused != nil {
			err = &RefusedError{Refusal: refused.Refusal, Sentinel: true, err: err}
		}
		return vote{err: fmt.Errorf("the Sentinel at %s: %w", addr, err)}
	}
	return v
}

func (s *sentinels) read(ctx context.Context, addr string) (v vote, err error) {
	conn, err := dialRedis(ctx, addr, &net.Dialer{}, s.tls)
	if err != nil {
		return v, err
	}
	defer func() { _ = conn.Close() }() // It was only read.
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return v, err
	}
	p := newRESP(conn)
	if err := s.auth.log(p); err != nil {
		return v, err
	}
	v.id = sentinelID(conn, p)
	primary, err := p.texts("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.name)
	switch {
	case err != nil && strings.Contains(err.Error(), "unknown command"):
		return v, fmt.Errorf("it is not a Sentinel, of which the usual port is %s: %w", defaultSentinelPort, err)
	case err != nil:
		return v, err
	case len(primary) != 2:
		return v, fmt.Errorf("it monitors no primary %q: SENTINEL MASTERS lists those that it monitors", s.name)
	}
	v.addr = net.JoinHostPort(primary[0], primary[1])
	v.known, err = s.known(p)
	return v, err
}

// sentinelID reads the id of a Sentinel. It returns the address of the connection if the user may not run the command.
func sentinelID(conn net.Conn, p resp) string {
	if id, err := p.text("SENTINEL", "MYID"); err == nil {
		return id
	}
	return conn.RemoteAddr().String()
}

// known reads how many Sentinels there are.
func (s *sentinels) known(p resp) (int, error) {
	fields, err := p.texts("SENTINEL", "MASTER", s.name)
	if err != nil {
		return 0, err
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "num-other-sentinels" {
			others, err := strconv.Atoi(fields[i+1])
			return others + 1, err
		}
	}
	return 0, errors.New("SENTINEL MASTER has no num-other-sentinels")
}
