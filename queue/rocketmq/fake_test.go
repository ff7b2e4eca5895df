package rocketmq_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/rocketmq"
)

// fakeProxy is a proxy that returns errors which a real one returns only in failures.
type fakeProxy struct {
	v2.UnimplementedMessagingServiceServer

	mu sync.Mutex
	// introduced is the number of sessions. forgotten makes the proxy forget all consumers until the next session.
	introduced int
	forgotten  bool
	// attempts is the maximum in the group's settings, and acks are the statuses of the entries of an Ack.
	attempts int32
	acks     []v2.Code
	// options are those of the server, such as TLS.
	options []grpc.ServerOption
	// send is the status of SendMessage.
	send v2.Code
	// refuse is the status of all else if it is not zero.
	refuse v2.Code
	// metadata is that of the last heartbeat.
	metadata metadata.MD
}

func (f *fakeProxy) Telemetry(s v2.MessagingService_TelemetryServer) error {
	command, err := s.Recv()
	if err != nil {
		return err
	}
	settings := command.GetSettings()
	if f.refuse != 0 {
		// A real proxy ends the stream after it, without an error.
		return s.Send(&v2.TelemetryCommand{Status: f.status()})
	}
	f.mu.Lock()
	f.introduced++
	f.forgotten = false
	settings.BackoffPolicy = &v2.RetryPolicy{MaxAttempts: f.attempts}
	f.mu.Unlock()
	if err := s.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: settings}}); err != nil {
		return err
	}
	<-s.Context().Done()
	return s.Context().Err()
}

func (f *fakeProxy) Heartbeat(ctx context.Context, _ *v2.HeartbeatRequest) (*v2.HeartbeatResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.metadata, _ = metadata.FromIncomingContext(ctx)
	return &v2.HeartbeatResponse{Status: f.status()}, nil
}

func (f *fakeProxy) QueryRoute(context.Context, *v2.QueryRouteRequest) (*v2.QueryRouteResponse, error) {
	return &v2.QueryRouteResponse{Status: f.status()}, nil
}

func (f *fakeProxy) status() *v2.Status {
	if f.refuse != 0 {
		return &v2.Status{Code: f.refuse, Message: "the reason"}
	}
	return &v2.Status{Code: v2.Code_OK}
}

func (f *fakeProxy) ReceiveMessage(_ *v2.ReceiveMessageRequest, s v2.MessagingService_ReceiveMessageServer) error {
	f.mu.Lock()
	code := v2.Code_MESSAGE_NOT_FOUND
	if f.forgotten {
		code = v2.Code_INTERNAL_SERVER_ERROR
	}
	f.mu.Unlock()
	return s.Send(&v2.ReceiveMessageResponse{Content: &v2.ReceiveMessageResponse_Status{Status: &v2.Status{Code: code}}})
}

func (f *fakeProxy) AckMessage(_ context.Context, r *v2.AckMessageRequest) (*v2.AckMessageResponse, error) {
	reply := &v2.AckMessageResponse{Status: &v2.Status{Code: v2.Code_MULTIPLE_RESULTS}}
	for i, e := range r.GetEntries() {
		reply.Entries = append(reply.Entries, &v2.AckMessageResultEntry{MessageId: e.GetMessageId(), Status: &v2.Status{Code: f.acks[i]}})
	}
	return reply, nil
}

func (f *fakeProxy) SendMessage(context.Context, *v2.SendMessageRequest) (*v2.SendMessageResponse, error) {
	return &v2.SendMessageResponse{
		Status:  &v2.Status{Code: v2.Code_OK},
		Entries: []*v2.SendResultEntry{{Status: &v2.Status{Code: v2.Code_OK}}, {Status: &v2.Status{Code: f.send}}},
	}, nil
}

// serve starts the fakeProxy and opens a broker on it. It returns the broker and a function for the broker's log.
func serve(t *testing.T, f *fakeProxy, change ...func(*rocketmq.Config)) (*rocketmq.Broker, func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(f.options...)
	v2.RegisterMessagingServiceServer(s, f)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	log := &safeBuffer{}
	cfg := rocketmq.Config{
		Endpoint: l.Addr().String(), PollTimeout: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	b, err := rocketmq.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closeBroker(t, b)
		s.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return b, log.String
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// waitMax bounds every wait for something that takes moments on an idle machine.
const waitMax = time.Minute

// receiveNothing receives until a call succeeds, and returns the failures.
func receiveNothing(t *testing.T, c queue.Consumer) (failures []error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitMax)
	defer cancel()
	for {
		got, err := c.Receive(ctx, 1, rocketmq.DefaultMinLease)
		if err == nil && len(got) == 0 {
			return failures
		}
		if ctx.Err() != nil {
			t.Fatalf("receive never worked: %v", failures)
		}
		failures = append(failures, err)
	}
}

func TestSession_ProxyForgotConsumers(t *testing.T) {
	f := &fakeProxy{attempts: 500}
	b, _ := serve(t, f)
	c, err := b.Consumer("t", "g")
	if err != nil {
		t.Fatal(err)
	}
	receiveNothing(t, c)
	f.mu.Lock()
	f.forgotten = true
	before := f.introduced
	f.mu.Unlock()
	failures := receiveNothing(t, c)
	if len(failures) == 0 || !errors.Is(failures[0], queue.ErrUnavailable) {
		t.Errorf("failures = %v, want %v first", failures, queue.ErrUnavailable)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// A call may still fail while the first failure makes the consumer introduce itself, and then request that once more.
	if again := f.introduced - before; again < 1 || again > len(failures) {
		t.Errorf("the consumer introduced itself again %d times after %d failures, want once to once a failure", again, len(failures))
	}
	if got := f.metadata.Get("x-mq-client-id"); len(got) != 1 || !strings.HasPrefix(got[0], "spillway@") {
		t.Errorf("client id = %v", got)
	}
}

func TestSession_LogsFewAttempts(t *testing.T) {
	for attempts, want := range map[int32]bool{17: true, 500: false} {
		b, log := serve(t, &fakeProxy{attempts: attempts})
		c, err := b.Consumer("t", "g")
		if err != nil {
			t.Fatal(err)
		}
		receiveNothing(t, c)
		if got := strings.Contains(log(), "retryMaxTimes"); got != want {
			t.Errorf("with %d attempts the log says %q", attempts, log())
		}
	}
}

func TestConsumer_AckStatuses(t *testing.T) {
	messages := []queue.Message{{ID: "1", Receipt: "r1"}, {ID: "2", Receipt: "r2"}}
	for name, c := range map[string]struct {
		acks []v2.Code
		want error
	}{
		"both":                  {[]v2.Code{v2.Code_OK, v2.Code_OK}, nil},
		"one whose lease ended": {[]v2.Code{v2.Code_OK, v2.Code_INVALID_RECEIPT_HANDLE}, nil},
		"one that failed":       {[]v2.Code{v2.Code_OK, v2.Code_INTERNAL_SERVER_ERROR}, queue.ErrUnavailable},
	} {
		b, _ := serve(t, &fakeProxy{acks: c.acks})
		consumer, err := b.Consumer("t", "g")
		if err != nil {
			t.Fatal(err)
		}
		if err := consumer.Ack(t.Context(), messages...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestProducer_SendStatuses(t *testing.T) {
	for code, want := range map[v2.Code]error{
		v2.Code_OK:                         nil,
		v2.Code_MASTER_PERSISTENCE_TIMEOUT: queue.ErrUnavailable,
		v2.Code_TOPIC_NOT_FOUND:            queue.ErrUnavailable,
		v2.Code_TOO_MANY_REQUESTS:          queue.ErrFull,
		v2.Code_UNAUTHORIZED:               queue.ErrUnauthorized,
		v2.Code_FORBIDDEN:                  queue.ErrUnauthorized,
		v2.Code_MESSAGE_BODY_TOO_LARGE:     queue.ErrTooLarge,
	} {
		b, _ := serve(t, &fakeProxy{send: code})
		p, err := b.Producer()
		if err != nil {
			t.Fatal(err)
		}
		err = p.Send(t.Context(), "t", queue.Outgoing{Body: []byte("1")}, queue.Outgoing{Body: []byte("2")})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", code, err, want)
		}
	}
}
