// Package fakesentinel imitates Redis Sentinels: the test sets what each of them names as the primary, and which of them respond.
package fakesentinel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Name is the name under which every Sentinel monitors its primary.
const Name = "mymaster"

// Sentinel is one of them.
type Sentinel struct {
	listener net.Listener
	password string

	mu      sync.Mutex
	primary string // host:port
	known   int
	cut     bool
}

// Start starts a Sentinel that names the primary and knows of that many Sentinels, with itself. Without a password it does not authenticate.
func Start(t testing.TB, primary string, known int, password string) *Sentinel {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sentinel{listener: l, password: password, primary: primary, known: known}
	t.Cleanup(func() { _ = l.Close() })
	go s.accept()
	return s
}

// StartAll starts a number of Sentinels that know each other and name the primary, and returns their addresses as well.
func StartAll(t testing.TB, primary string, n int) (all []*Sentinel, addrs []string) {
	t.Helper()
	for range n {
		s := Start(t, primary, n, "")
		all, addrs = append(all, s), append(addrs, s.Addr())
	}
	return all, addrs
}

// Addr is its address.
func (s *Sentinel) Addr() string { return s.listener.Addr().String() }

// SetPrimary changes what it names.
func (s *Sentinel) SetPrimary(primary string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary = primary
}

// Cut makes it accept connections without a response, as one beyond a broken network does; with false, it responds again.
func (s *Sentinel) Cut(cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
}

func (s *Sentinel) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.serve(c)
	}
}

func (s *Sentinel) serve(c net.Conn) {
	defer c.Close()
	in, loggedIn := bufio.NewReader(c), s.password == ""
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		reply := "-NOAUTH Authentication required.\r\n"
		switch {
		case args[0] == "AUTH" && args[len(args)-1] == s.password:
			loggedIn, reply = true, "+OK\r\n"
		case args[0] == "AUTH":
			reply = "-WRONGPASS invalid username-password pair\r\n"
		case loggedIn:
			reply = s.reply(args)
		}
		s.mu.Lock()
		cut := s.cut
		s.mu.Unlock()
		if cut {
			_, _ = in.ReadByte() // Until the client gives up.
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
}

func (s *Sentinel) reply(args []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	host, port, _ := net.SplitHostPort(s.primary)
	switch command := strings.Join(args, " "); command {
	case "SENTINEL GET-MASTER-ADDR-BY-NAME " + Name:
		return array(host, port)
	case "SENTINEL MYID":
		return "+" + s.Addr() + "\r\n"
	case "SENTINEL MASTER " + Name:
		return array("name", Name, "ip", host, "port", port, "num-other-sentinels", strconv.Itoa(s.known-1))
	default:
		if len(args) > 1 && args[1] == "GET-MASTER-ADDR-BY-NAME" {
			return "*-1\r\n"
		}
		return "-ERR No such master with that name\r\n"
	}
}

func array(texts ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(texts))
	for _, t := range texts {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(t), t)
	}
	return b.String()
}

// readCommand reads an array of bulk strings.
func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readNumber(in, "*")
	if err != nil || n < 1 {
		return nil, fmt.Errorf("an array of %d strings (%w)", n, err)
	}
	args := make([]string, n)
	for i := range args {
		size, err := readNumber(in, "$")
		if err != nil || size < 0 {
			return nil, fmt.Errorf("a string of %d bytes (%w)", size, err)
		}
		buf := make([]byte, size+2)
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, err
		}
		args[i] = string(buf[:size])
	}
	return args, nil
}

func readNumber(in *bufio.Reader, prefix string) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(line, prefix), "\r\n"))
}
