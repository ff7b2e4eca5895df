package rocketmq

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"sync"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/spillway/spillway/queue"
)

const (
	// maxReconnectDelay is the maximum delay between two attempts of gRPC to connect, far below queue.MaxRecoveryTime.
	// gRPC's default is two minutes.
	maxReconnectDelay = 2 * time.Second
	// connectTimeout is the maximum duration of one attempt.
	connectTimeout = 3 * time.Second
	// maxReceiveBytes is the maximum size of one received message: its body, with room for properties.
	maxReceiveBytes = queue.MaxBodyBytes + 1<<20
	// maxTimeouts is the number of consecutive calls without a response after which a connection is replaced. TCP alone
	// notices a peer that vanished only after a quarter of an hour.
	maxTimeouts = 2

	// clientVersion is the version in the client's metadata; some behaviour of the proxy depends on it.
	clientVersion = "5.1.3"
)

// link is a connection to the proxy that replaces itself when it hangs. gRPC itself reconnects one that broke.
type link struct {
	target string
	opts   []grpc.DialOption

	mu     sync.Mutex
	conn   *grpc.ClientConn
	late   int
	closed bool
}

// newLink returns a link that is not connected yet. Each link is a separate client of the proxy.
func newLink(target string, tlsConfig *tls.Config, user Credentials) *link {
	security := insecure.NewCredentials()
	if tlsConfig != nil {
		security = credentials.NewTLS(tlsConfig)
	}
	pairs := []string{
		"x-mq-language", "GO", "x-mq-protocol", "v2", "x-mq-client-version", clientVersion, "x-mq-client-id", "spillway@" + rand.Text(),
	}
	signed := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(metadata.AppendToOutgoingContext(ctx, pairs...), user.sign(time.Now())...)
	}
	return &link{target: target, opts: []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxReconnectDelay},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceiveBytes)),
		grpc.WithDisableServiceConfig(),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
			return next(signed(ctx), method, req, reply, cc, o...)
		}),
		grpc.WithStreamInterceptor(
			func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
				return next(signed(ctx), d, cc, method, o...)
			},
		),
	}}
}

// api returns the stubs on the current connection.
func (l *link) api() (v2.MessagingServiceClient, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, queue.ErrClosed
	}
	if l.conn == nil {
		conn, err := grpc.NewClient(l.target, l.opts...)
		if err != nil {
			return nil, err
		}
		l.conn = conn
	}
	return v2.NewMessagingServiceClient(l.conn), nil
}

// note records the result of a call that had its own timeout.
func (l *link) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if status.Code(err) != codes.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded) {
		l.late = 0
		return
	}
	l.late++
	if l.late >= maxTimeouts && l.conn != nil {
		// The error of closing an abandoned connection is of no use.
		_ = l.conn.Close()
		l.conn, l.late = nil, 0
	}
}

func (l *link) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn == nil {
		return nil
	}
	conn := l.conn
	l.conn = nil
	return conn.Close()
}
