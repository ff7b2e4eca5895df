package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
)

// mailServer is the SMTP sink in its process.
type mailServer struct {
	child *child
	port  string // of SMTP
}

// openSink starts the sink.
func (s *stage) openSink(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	c, err := s.start(ctx, "smtp", self, s.environment(), "sink", "--smtp", addr)
	if err != nil {
		return err
	}
	s.sink = &mailServer{child: c, port: portOf(addr)}
	return nil
}

// settings are those that let spillway send its mails there.
func (m *mailServer) settings() []string {
	return []string{"smtp-host=127.0.0.1", "smtp-port=" + m.port, "smtp-plain"}
}

// count returns how many mails have come since the start.
func (m *mailServer) count(ctx context.Context) (n sinkCount, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.child.addr+"/count", http.NoBody)
	if err != nil {
		return n, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return n, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&n)
	return n, err
}
