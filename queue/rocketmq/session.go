package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/internal/read"
)

const (
	// heartbeatEvery keeps the proxy from forgetting the client, which it does after two minutes.
	heartbeatEvery = 10 * time.Second
	// attemptsFew is a bound on redeliveries that an outage of some minutes can use up.
	attemptsFew = 100
)

// session tells the proxy who the consumer is, on a stream that both keep open, and goes on doing so: a proxy that
// restarted knows nobody, and answers INTERNAL_SERVER_ERROR to everybody until it is told again.
type session struct {
	link  *link
	topic string
	group string
	await time.Duration
	log   *slog.Logger
	// redo asks for a new stream.
	redo chan struct{}

	mu sync.Mutex
	// ready is closed while the proxy knows the consumer. err is why it does not.
	ready chan struct{}
	err   error
}

func newSession(l *link, topic, group string, await time.Duration, log *slog.Logger) *session {
	return &session{
		link: l, topic: topic, group: group, await: await, log: log.With("topic", topic, "group", group),
		redo: make(chan struct{}, 1), ready: make(chan struct{}), err: errors.New("not connected yet"),
	}
}

// run keeps the session up until ctx ends.
func (s *session) run(ctx context.Context) {
	var pace read.Pace
	for pace.Wait(ctx) == nil {
		err := s.once(ctx, func() { pace.Note(ctx, nil) })
		if ctx.Err() != nil {
			return
		}
		pace.Note(ctx, err)
		if s.down(err) {
			s.log.WarnContext(ctx, "the queue's consumer lost its session; connecting again", "error", err)
		}
	}
}

// down notes that the session is lost, and says whether it was up.
func (s *session) down(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	select {
	case <-s.ready:
		s.ready = make(chan struct{})
		return true
	default:
		return false
	}
}

// once opens a stream, introduces the consumer, and stays until the stream breaks or somebody asks for a new one.
func (s *session) once(ctx context.Context, up func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	api, err := s.link.api()
	if err != nil {
		return err
	}
	stream, err := api.Telemetry(ctx)
	if err != nil {
		return fmt.Errorf("open the session: %w", err)
	}
	// What was asked for before this stream began is answered by it.
	select {
	case <-s.redo:
	default:
	}
	commands, broken := make(chan *v2.TelemetryCommand), make(chan error, 1)
	go func() { broken <- listen(ctx, stream, commands) }()
	if err := stream.Send(s.introduction()); err != nil {
		return fmt.Errorf("introduce the consumer: %w", err)
	}
	if err := s.welcome(ctx, commands, broken); err != nil {
		s.link.note(err)
		return err
	}
	if err := s.beat(ctx, api); err != nil {
		return err
	}
	up()
	s.mu.Lock()
	close(s.ready)
	s.mu.Unlock()
	return s.stay(ctx, api, commands, broken)
}

// listen hands on what the proxy sends until the stream breaks.
func listen(ctx context.Context, stream v2.MessagingService_TelemetryClient, commands chan<- *v2.TelemetryCommand) error {
	for {
		command, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("the session broke: %w", err)
		}
		select {
		case commands <- command:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// welcome waits for the proxy to return the settings, completed with the group's.
func (s *session) welcome(ctx context.Context, commands <-chan *v2.TelemetryCommand, broken <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case command := <-commands:
			settings := command.GetSettings()
			if settings == nil {
				continue
			}
			if n := settings.GetBackoffPolicy().GetMaxAttempts(); n > 0 && n < attemptsFew {
				s.log.WarnContext(ctx, "RocketMQ gives messages of this group up after few attempts, which an outage can use up; raise its retryMaxTimes", "attempts", n)
			}
			return nil
		}
	}
}

// stay keeps the session up.
func (s *session) stay(ctx context.Context, api v2.MessagingServiceClient, commands <-chan *v2.TelemetryCommand, broken <-chan error) error {
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case <-s.redo:
			return errors.New("the proxy no longer knows the consumer")
		case <-commands:
			// Changed settings, and requests for diagnostics: nothing that a consumer without push needs.
		case <-beat.C:
			if err := s.beat(ctx, api); err != nil {
				return err
			}
		}
	}
}

// beat sends one heartbeat.
func (s *session) beat(ctx context.Context, api v2.MessagingServiceClient) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	answer, err := api.Heartbeat(ctx, &v2.HeartbeatRequest{Group: resource(s.group), ClientType: v2.ClientType_SIMPLE_CONSUMER})
	s.link.note(err)
	if err == nil {
		err = check(answer.GetStatus())
	}
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// wait returns when the session is up. After the time for one Receive it fails with the reason why it is not.
func (s *session) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.await)
	defer cancel()
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		if unknownGroup(s.err) {
			return fmt.Errorf("%w: %w", queue.ErrUnknownGroup, detail(s.err))
		}
		return fmt.Errorf("%w: %w", queue.ErrUnavailable, detail(s.err))
	}
}

// renew asks for a new session.
func (s *session) renew() {
	select {
	case s.redo <- struct{}{}:
	default:
	}
}
