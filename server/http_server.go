package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// maxHeaderBytes bounds a request's headers: our own tokens have about 250 bytes, those of an outside issuer at most 8192.
	maxHeaderBytes = 16 << 10
	// headerTimeout bounds how long a client may take to send its headers, and bodyTimeout its headers and its body, of 64 kB at most. A half-sent
	// request holds a connection or a stream, and some 15 kB, for that long.
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	// callTimeout is how long the connection of an HTTP/1.1 request is read from once its body is there: only to notice that the client leaves.
	callTimeout = 30 * time.Second
	// writeTimeout bounds the response: a checkout may take finishTimeout.
	writeTimeout = 30 * time.Second
	// idleTimeout closes unused connections.
	idleTimeout = 2 * time.Minute
)

const (
	// maxStreams bounds the requests of one connection of HTTP/2. A proxy or an application server sends those of many customers on one. Those of all
	// connections are bounded by maxRequests.
	maxStreams = 250
	// streamBuffer is how much of a request's body a client may send before it is read: more than maxBodyBytes. connBuffer is the same for all requests of
	// a connection together, so that 250 half-sent ones hold no more than that.
	streamBuffer = 128 << 10
	connBuffer   = 512 << 10
	// maxFrameBytes is the largest frame that is read: a body of the largest size in two.
	maxFrameBytes = 64 << 10
	// maxHeaderTable bounds the memory for compressed headers in each direction of a connection: the default of HTTP/2.
	maxHeaderTable = 4 << 10
	// pingDelay is after how much silence a connection is tested, and pingTimeout the time for the response: a peer that vanished is noticed in 45 s.
	pingDelay   = 30 * time.Second
	pingTimeout = 15 * time.Second
	// frameTimeout cuts off a connection that takes nothing of what is written. The deadlines of streams are theirs.
	frameTimeout = 30 * time.Second
)

// newHTTPServer returns the server of a port, with its limits.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connBuffer,
			MaxReadFrameSize: maxFrameBytes, MaxDecoderHeaderTableSize: maxHeaderTable, MaxEncoderHeaderTableSize: maxHeaderTable,
			SendPingTimeout: pingDelay, PingTimeout: pingTimeout, WriteByteTimeout: frameTimeout,
		},
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)            // over listeners with TLS
	srv.Protocols.SetUnencryptedHTTP2(true) // gRPC without TLS
	return srv
}

// Serve listens until ctx ends, and then waits for the requests under way, as long as drain allows. When it returns without
// an error, every accepted request got its response. A listener of LimitConns bounds the requests of HTTP/2 as well.
func Serve(ctx context.Context, l net.Listener, h http.Handler, drain time.Duration, log *slog.Logger) error {
	srv := newHTTPServer(limitRequests(l, h), log)
	return serve(ctx, srv, func() error { return srv.Serve(l) }, drain, log)
}

// ServeTLS is Serve over TLS, with HTTP/1.1 or HTTP/2 as the client chooses in the handshake. Without TLS nothing is served.
func ServeTLS(ctx context.Context, l net.Listener, h http.Handler, config *tls.Config, drain time.Duration, log *slog.Logger) error {
	srv := newHTTPServer(limitRequests(l, h), log)
	srv.TLSConfig = config
	srv.Protocols.SetUnencryptedHTTP2(false)
	return serve(ctx, srv, func() error { return srv.ServeTLS(l, "", "") }, drain, log)
}

func serve(ctx context.Context, srv *http.Server, run func() error, drain time.Duration, log *slog.Logger) error {
	served := make(chan error, 1)
	go func() { served <- run() }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.InfoContext(ctx, "shutting down: waiting for requests under way", "deadline", time.Now().Add(drain))
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		return fmt.Errorf("requests were still under way after %s: %w", drain, errors.Join(err, srv.Close()))
	}
	return nil
}
