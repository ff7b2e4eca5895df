package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"net"
	"net/http"
	"sync"
	"time"
)

// sinkCmd is an SMTP server that counts mails and discards them, in a process of its own. It writes no files: creating and deleting tens of
// thousands of them makes the file system slow for minutes.
type sinkCmd struct {
	Listen string `required:"" help:"Where to respond with the counts, by HTTP."`
	SMTP   string `required:"" help:"Where to take mails."`
}

// sinkBufferBytes holds a whole mail, which has about 3 kB, so that it is one read.
const sinkBufferBytes = 16 << 10

var messageID = []byte("message-id:")

// sinkCount is the response of the sink.
type sinkCount struct {
	Mails      int       `json:"mails"`      // with different Message-IDs
	Duplicates int       `json:"duplicates"` // sent again
	Last       time.Time `json:"last"`       // when the last new mail came
}

// sink counts mails by their Message-ID.
type sink struct {
	mu    sync.Mutex
	seed  maphash.Seed
	seen  map[uint64]struct{}
	count sinkCount
}

func newSink() *sink { return &sink{seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}} }

// Run serves until ctx ends.
func (c *sinkCmd) Run(ctx context.Context) error {
	s := newSink()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.SMTP)
	if err != nil {
		return err
	}
	go s.accept(l)
	defer l.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.count) // The caller notices.
	})
	return serve(ctx, c.Listen, mux)
}

// accept serves connections until the listener is closed.
func (s *sink) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go s.session(conn)
		}
	}
}

// session speaks SMTP (RFC 5321) with one client until it quits. Each reply is flushed when no command waits, so that pipelined ones share
// a write.
func (s *sink) session(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, sinkBufferBytes), bufio.NewWriter(conn)
	_, _ = out.WriteString("220 bench ESMTP\r\n") // Flush returns the error of each write.
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		verb, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		switch string(bytes.ToUpper(verb)) {
		case "EHLO":
			_, _ = out.WriteString("250-bench\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n")
		case "DATA":
			_, _ = out.WriteString("354 go ahead\r\n")
			if out.Flush() != nil || s.data(in) != nil {
				return
			}
			_, _ = out.WriteString("250 taken\r\n")
		case "QUIT":
			_, _ = out.WriteString("221 bye\r\n")
			_ = out.Flush() // The client may have gone.
			return
		case "HELO", "MAIL", "RCPT", "RSET", "NOOP":
			_, _ = out.WriteString("250 ok\r\n")
		default:
			_, _ = out.WriteString("502 unknown command\r\n")
		}
	}
}

// data reads one mail up to the line with a dot and counts it.
func (s *sink) data(in *bufio.Reader) error {
	var id uint64
	for header := true; ; {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		switch {
		case string(line) == ".\r\n":
			s.add(id)
			return nil
		case string(line) == "\r\n":
			header = false
		case header && len(line) > len(messageID) && bytes.EqualFold(line[:len(messageID)], messageID):
			id = maphash.Bytes(s.seed, bytes.TrimSpace(line[len(messageID):]))
		}
	}
}

func (s *sink) add(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.seen[id]; again {
		s.count.Duplicates++
		return
	}
	s.seen[id] = struct{}{}
	s.count.Mails++
	s.count.Last = time.Now()
}
