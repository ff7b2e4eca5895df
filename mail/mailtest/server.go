// Package mailtest has an SMTP server with faults, for tests of what sends mails.
package mailtest

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mode is what a Server does with connections and mails.
type Mode string

// Modes of the server.
const (
	Up      Mode = "up"
	Down    Mode = "down"        // closes each connection at once
	Frozen  Mode = "frozen"      // accepts connections and never responds
	Slow    Mode = "slow"        // responds to each command after Server.SlowReply
	Full    Mode = "full"        // accepts no mail for now: 452
	Forgets Mode = "no response" // accepts a mail and closes the connection instead of a response
)

// Refused is the recipient that the server refuses for ever, with 550, in each mode in which it responds.
const Refused = "refused@example.com"

const (
	// defaultSlowReply is how long the server takes for a reply if it is slow.
	defaultSlowReply = 20 * time.Millisecond
	// connectionTime bounds a connection.
	connectionTime = time.Minute
)

// Server is an SMTP server with faults. It counts the mails by their Message-IDs. It is safe for concurrent use.
type Server struct {
	Port int
	// SlowReply is the time before each reply of Slow. It is set before the first connection.
	SlowReply time.Duration

	mu    sync.Mutex
	mode  Mode
	open  map[net.Conn]bool
	mails map[string]int
}

// Start starts a server on 127.0.0.1, until the test ends.
func Start(t testing.TB, mode Mode) *Server {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Port: port, SlowReply: defaultSlowReply, mode: mode, open: map[net.Conn]bool{}, mails: map[string]int{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer s.track(c)()
				s.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.closeAll()
		wg.Wait()
	})
	return s
}

// track keeps the connection until the function returned closes it.
func (s *Server) track(c net.Conn) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c)
		_ = c.Close()
	}
}

// closeAll closes all connections.
func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
}

// Set sets the mode, from the next command on.
func (s *Server) Set(mode Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

func (s *Server) current() Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode
}

func (s *Server) serve(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(connectionTime))
	r := bufio.NewReader(c)
	switch s.current() {
	case Down:
		return
	case Frozen:
		_, _ = r.ReadString('\n') // The client closes the connection.
		return
	case Up, Slow, Full, Forgets:
	}
	fmt.Fprint(c, "220 test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil || s.current() == Down {
			return
		}
		if s.current() == Frozen {
			_, _ = r.ReadString('\n')
			return
		}
		if s.current() == Slow {
			<-time.After(s.SlowReply)
		}
		switch {
		case strings.HasPrefix(line, "MAIL") && s.current() == Full:
			fmt.Fprint(c, "452 no space\r\n")
		case strings.HasPrefix(line, "RCPT") && strings.Contains(line, Refused):
			fmt.Fprint(c, "550 no such user\r\n")
		case strings.HasPrefix(line, "DATA"):
			fmt.Fprint(c, "354 go on\r\n")
			if !s.take(r) || s.current() == Forgets {
				return
			}
			fmt.Fprint(c, "250 OK\r\n")
		default:
			fmt.Fprint(c, "250 OK\r\n")
		}
	}
}

// take reads a mail and counts it. It returns false if the connection ended before the mail did.
func (s *Server) take(r *bufio.Reader) bool {
	for id := ""; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if rest, ok := strings.CutPrefix(line, "Message-ID: "); ok && id == "" {
			id = strings.TrimSpace(rest)
		}
		if line == ".\r\n" {
			s.count(id)
			return true
		}
	}
}

// count counts a mail.
func (s *Server) count(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails[id]++
}

// Mails returns how often each mail came, by its Message-ID.
func (s *Server) Mails() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.mails)
}

// Counts returns the number of different mails, and the number of mails that came more than once.
func (s *Server) Counts() (mails, repeated int) {
	all := s.Mails()
	for _, n := range all {
		if n > 1 {
			repeated++
		}
	}
	return len(all), repeated
}
