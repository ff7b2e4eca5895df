package rocketmq_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/test/realparts"
)

// TestSession_RefusedCredentials: the proxy's reason is returned, not only that the session broke.
func TestSession_RefusedCredentials(t *testing.T) {
	b, _ := serve(t, &fakeProxy{refuse: v2.Code_UNAUTHORIZED})
	c, err := b.Consumer("t", "g")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitMax)
	defer cancel()
	err = queue.ErrUnavailable // as until the proxy has refused the session
	for errors.Is(err, queue.ErrUnavailable) && ctx.Err() == nil {
		_, err = c.Receive(ctx, 1, rocketmq.DefaultMinLease)
	}
	if !errors.Is(err, queue.ErrUnauthorized) || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("receive: %v; want %v with the proxy's reason", err, queue.ErrUnauthorized)
	}
}

func TestBroker_Check(t *testing.T) {
	for code, want := range map[v2.Code]error{
		0:                                nil,
		v2.Code_UNAUTHORIZED:             queue.ErrUnauthorized,
		v2.Code_FORBIDDEN:                queue.ErrUnauthorized,
		v2.Code_TOPIC_NOT_FOUND:          queue.ErrUnavailable,
		v2.Code_INTERNAL_SERVER_ERROR:    queue.ErrUnavailable,
		v2.Code_CONSUMER_GROUP_NOT_FOUND: queue.ErrUnknownGroup,
	} {
		b, _ := serve(t, &fakeProxy{refuse: code})
		if err := b.Check(t.Context(), []string{"t"}, []string{"g"}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", code, err, want)
		}
		if err := b.Check(t.Context(), nil, []string{"g"}); !errors.Is(err, want) {
			t.Errorf("%s of a group: %v, want %v", code, err, want)
		}
	}
	// It knows no client that is not registered, but has checked its access.
	b, _ := serve(t, &fakeProxy{refuse: v2.Code_UNRECOGNIZED_CLIENT_TYPE})
	if err := b.Check(t.Context(), nil, []string{"g"}); err != nil {
		t.Errorf("not registered: %v", err)
	}
}

func TestBroker_CheckOfTLS(t *testing.T) {
	cert, key := realparts.Certificate(t)
	pair, err := credentials.NewServerTLSFromFile(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	secure, plain := []grpc.ServerOption{grpc.Creds(pair)}, []grpc.ServerOption(nil)
	for name, c := range map[string]struct {
		proxy  []grpc.ServerOption
		client *tls.Config
		want   error
		text   string
	}{
		"trusted":            {secure, &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, nil, ""},
		"unknown authority":  {secure, &tls.Config{MinVersion: tls.VersionTLS12}, rocketmq.ErrUntrusted, "unknown authority"},
		"another name":       {secure, &tls.Config{RootCAs: trusted, ServerName: "x", MinVersion: tls.VersionTLS12}, rocketmq.ErrUntrusted, "match x"},
		"plain text to TLS":  {secure, nil, queue.ErrUnavailable, "may require TLS"},
		"TLS to plain text":  {plain, &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, rocketmq.ErrUntrusted, "does not look like a TLS"},
		"plain text to that": {plain, nil, nil, ""},
	} {
		b, _ := serve(t, &fakeProxy{options: c.proxy}, func(cfg *rocketmq.Config) { cfg.TLS = c.client })
		err := b.Check(t.Context(), []string{"t"}, []string{"g"})
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v; want %v with %q", name, err, c.want, c.text)
		}
	}
	b, err := rocketmq.New(rocketmq.Config{Endpoint: realparts.FreeAddr(t), TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context(), nil, nil); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("nothing listens: %v, want %v", err, queue.ErrUnavailable)
	}
}

// TestBroker_Inspect: what the proxy knows of topics and groups, without making them.
func TestBroker_Inspect(t *testing.T) {
	b, err := rocketmq.New(rocketmq.Config{Endpoint: realparts.RocketMQ(t)})
	if err != nil {
		t.Fatal(err)
	}
	if topic, err := b.Topic(t.Context(), "spillway-orders"); err != nil || !topic.Found || !topic.Normal || topic.Queues == 0 {
		t.Errorf("the shop's topic: %+v, %v", topic, err)
	}
	if n, err := b.MaxAttempts(t.Context(), "spillway-orders", "orders"); err != nil || n < 1200 {
		t.Errorf("the group orders: %d, %v", n, err)
	}
	for range 2 { // It is still unknown the second time.
		if topic, err := b.Topic(t.Context(), "never-made"); err != nil || topic.Found {
			t.Errorf("an unknown topic: %+v, %v", topic, err)
		}
		if _, err := b.MaxAttempts(t.Context(), "spillway-orders", "never-made"); !errors.Is(err, queue.ErrUnknownGroup) {
			t.Errorf("an unknown group: %v", err)
		}
	}
	refusing, _ := serve(t, &fakeProxy{refuse: v2.Code_UNAUTHORIZED})
	if _, err := refusing.Topic(t.Context(), "t"); !errors.Is(err, queue.ErrUnauthorized) {
		t.Errorf("a topic without access: %v", err)
	}
	if _, err := refusing.MaxAttempts(t.Context(), "t", "g"); !errors.Is(err, queue.ErrUnauthorized) {
		t.Errorf("a group without access: %v", err)
	}
}
