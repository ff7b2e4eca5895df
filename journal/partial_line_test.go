package journal_test

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

// partialLine is a connection to Redis that can be cut.
type partialLine struct {
	addr  string
	mu    sync.Mutex
	isCut bool
	open  []net.Conn
}

func newPartialLine(t *testing.T, server string) *partialLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &partialLine{addr: listener.Addr().String()}
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut(true)
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			if backend, err := net.Dial("tcp", server); err == nil && l.keep(client, backend) {
				go func() { _, _ = io.Copy(client, backend); _ = client.Close() }()
				go func() { _, _ = io.Copy(backend, client); _ = backend.Close() }()
			}
		}
	}()
	return l
}

func (l *partialLine) cut(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = is
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

func (l *partialLine) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.isCut {
			_ = c.Close()
		}
	}
	if !l.isCut {
		l.open = append(l.open, conns...)
	}
	return !l.isCut
}

// loadingRedis is a Redis that reads its data for long: it reports its identity, and refuses all other commands.
func loadingRedis(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					reply, err := loadingReply(in)
					if err != nil {
						return
					}
					if _, err := io.WriteString(c, reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// loadingReply reads a command, an array of strings, and returns its reply.
func loadingReply(in *bufio.Reader) (string, error) {
	header, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.Trim(header, "*\r\n"))
	if err != nil {
		return "", err
	}
	args := make([]string, n)
	for i := range args {
		if _, err := in.ReadString('\n'); err != nil { // Its size; no string here has a line break.
			return "", err
		}
		text, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		args[i] = strings.TrimSpace(text)
	}
	switch strings.ToUpper(args[0]) {
	case "INFO":
		text := "run_id:r\r\nmaster_replid:m\r\nrole:master\r\nloading:1\r\n"
		return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text), nil
	case "HELLO":
		return "-ERR unknown command `HELLO`\r\n", nil
	case "CLIENT", "PING", "SELECT":
		return "+OK\r\n", nil
	}
	return "-LOADING Redis is loading the dataset in memory\r\n", nil
}
