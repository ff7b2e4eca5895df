package rocketmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/spillway/spillway/queue"
)

// ErrUntrusted means that TLS with the proxy failed in a way that no retry changes: its certificate is not trusted or
// names another host, or it does not speak TLS.
var ErrUntrusted = errors.New("no trusted TLS connection to the RocketMQ proxy")

// Check returns nil if the proxy knows the topics and accepts this client for them and for the groups. It fails with
// ErrUntrusted, with queue.ErrUnauthorized, or with queue.ErrUnavailable when the proxy cannot be reached or returns
// another error. It does not retry.
func (b *Broker) Check(ctx context.Context, topics, groups []string) error {
	if err := b.checkTLS(ctx); err != nil {
		return err
	}
	l := newLink(b.cfg.Endpoint, b.cfg.TLS, b.cfg.Credentials)
	err := checkAccess(ctx, l, b.cfg.Endpoint, topics, groups)
	return errors.Join(err, l.close())
}

// checkTLS makes a connection of its own, because gRPC returns the error of a handshake as text only.
func (b *Broker) checkTLS(ctx context.Context) error {
	if b.cfg.TLS == nil {
		return nil
	}
	cfg := b.cfg.TLS.Clone()
	cfg.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", b.cfg.Endpoint)
	if err == nil {
		return conn.Close()
	}
	var certificate *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var alert tls.AlertError
	if errors.As(err, &certificate) || errors.As(err, &noTLS) || errors.As(err, &alert) {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return fmt.Errorf("%w: %w", queue.ErrUnavailable, detail(err))
}

func checkAccess(ctx context.Context, l *link, endpoint string, topics, groups []string) error {
	api, err := l.api()
	if err != nil {
		return err
	}
	at, err := endpoints(endpoint)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		reply, err := api.QueryRoute(ctx, &v2.QueryRouteRequest{Topic: resource(topic), Endpoints: at})
		if err == nil {
			err = check(reply.GetStatus())
		}
		if err != nil {
			return translate(ctx, "query the route of "+topic, err)
		}
	}
	for _, group := range groups {
		reply, err := api.Heartbeat(ctx, &v2.HeartbeatRequest{Group: resource(group), ClientType: v2.ClientType_SIMPLE_CONSUMER})
		if err == nil {
			err = check(reply.GetStatus())
		}
		// The proxy checks the access first, and knows no client that is not registered.
		if err != nil && codeOf(err) != v2.Code_UNRECOGNIZED_CLIENT_TYPE {
			return translate(ctx, "heartbeat for "+group, err)
		}
	}
	return nil
}

// endpoints is the address of the proxy as a request for a route names it.
func endpoints(address string) (*v2.Endpoints, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	scheme := v2.AddressScheme_DOMAIN_NAME
	if ip := net.ParseIP(host); ip.To4() != nil {
		scheme = v2.AddressScheme_IPv4
	} else if ip != nil {
		scheme = v2.AddressScheme_IPv6
	}
	return &v2.Endpoints{Scheme: scheme, Addresses: []*v2.Address{{Host: host, Port: int32(port)}}}, nil
}
