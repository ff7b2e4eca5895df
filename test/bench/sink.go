package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// sinkCmd is an SMTP server that counts mails and discards them, in a process of its own. It writes no files: creating and deleting tens of
// thousands of them makes the file system slow for minutes.
type sinkCmd struct {
	Listen string `required:"" help:"Where to respond with the counts, by HTTP."`
	SMTP   string `required:"" help:"Where to take mails."`
}

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
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	fmt.Fprintf(out, "220 bench ESMTP\r\n")
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			fmt.Fprintf(out, "250-bench\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n")
		case "DATA":
			fmt.Fprintf(out, "354 go ahead\r\n")
			if out.Flush() != nil || s.data(in) != nil {
				return
			}
			fmt.Fprintf(out, "250 taken\r\n")
		case "QUIT":
			fmt.Fprintf(out, "221 bye\r\n")
			_ = out.Flush() // The client may have gone.
			return
		case "HELO", "MAIL", "RCPT", "RSET", "NOOP":
			fmt.Fprintf(out, "250 ok\r\n")
		default:
			fmt.Fprintf(out, "502 unknown command\r\n")
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
		text := string(line)
		switch {
		case text == ".\r\n":
			s.add(id)
			return nil
		case text == "\r\n":
			header = false
		case header && len(text) > 11 && strings.EqualFold(text[:11], "message-id:"):
			id = maphash.String(s.seed, strings.TrimSpace(text[11:]))
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
