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
	// heartbeatInterval keeps the proxy from forgetting the client, which it does after two minutes of silence.
	heartbeatInterval = 10 * time.Second
	// minSafeAttempts is the number of attempts below which an outage of some minutes can exhaust them.
	minSafeAttempts = 100
)

// session registers the consumer with the proxy, on a stream that both sides keep open, and registers it again when
// necessary: a proxy that restarted has forgotten every consumer, and returns INTERNAL_SERVER_ERROR until they register
// again.
type session struct {
	link        *link
	topic       string
	group       string
	pollTimeout time.Duration
	log         *slog.Logger
	// redo requests a new stream.
	redo chan struct{}

	mu sync.Mutex
	// ready is closed while the consumer is registered. err is the reason why it is not.
	ready chan struct{}
	err   error
}

func newSession(l *link, topic, group string, pollTimeout time.Duration, log *slog.Logger) *session {
	return &session{
		link: l, topic: topic, group: group, pollTimeout: pollTimeout, log: log.With("topic", topic, "group", group),
		redo: make(chan struct{}, 1), ready: make(chan struct{}), err: errors.New("not connected yet"),
	}
}

// run keeps the consumer registered until ctx ends.
func (s *session) run(ctx context.Context) {
	var backoff read.Backoff
	for backoff.Wait(ctx) == nil {
		err := s.runOnce(ctx, func() { backoff.Record(ctx, nil) })
		if ctx.Err() != nil {
			return
		}
		backoff.Record(ctx, err)
		if s.markDown(err) {
			s.log.WarnContext(ctx, "lost the session of a queue consumer, reconnecting", "error", err)
		}
	}
}

// markDown records the loss of the session, and reports whether it was up.
func (s *session) markDown(err error) bool {
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

// runOnce opens a stream, registers the consumer, and returns when the stream breaks or a new one is requested.
func (s *session) runOnce(ctx context.Context, up func()) error {
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
	// This stream fulfils earlier requests for a new one.
	select {
	case <-s.redo:
	default:
	}
	commands, broken := make(chan *v2.TelemetryCommand), make(chan error, 1)
	go func() { broken <- listen(ctx, stream, commands) }()
	if err := stream.Send(s.settings()); err != nil {
		return fmt.Errorf("register the consumer: %w", err)
	}
	if err := s.awaitSettings(ctx, commands, broken); err != nil {
		s.link.note(err)
		return err
	}
	if err := s.heartbeat(ctx, api); err != nil {
		return err
	}
	up()
	s.mu.Lock()
	close(s.ready)
	s.mu.Unlock()
	return s.keepAlive(ctx, api, commands, broken)
}

// listen passes on the proxy's commands until the stream breaks.
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

// awaitSettings waits until the proxy returns the settings, with those of the group added.
func (s *session) awaitSettings(ctx context.Context, commands <-chan *v2.TelemetryCommand, broken <-chan error) error {
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
			if settings == nil && command.GetStatus() == nil {
				continue
			}
			if settings == nil {
				// The proxy ends the stream after it, without a reason.
				return fmt.Errorf("register the consumer: %w", check(command.GetStatus()))
			}
			if n := settings.GetBackoffPolicy().GetMaxAttempts(); n > 0 && n < minSafeAttempts {
				s.log.WarnContext(
					ctx,
					"RocketMQ moves messages of this group to its dead-letter topic after few attempts, which an outage can exhaust; raise its retryMaxTimes",
					"max_attempts",
					n,
				)
			}
			return nil
		}
	}
}

// keepAlive sends heartbeats until the session ends.
func (s *session) keepAlive(ctx context.Context, api v2.MessagingServiceClient, commands <-chan *v2.TelemetryCommand, broken <-chan error) error {
	heartbeat := time.NewTicker(heartbeatInterval)
	defer heartbeat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case <-s.redo:
			return errors.New("the proxy no longer knows the consumer")
		case <-commands:
			// Changed settings, and requests for diagnostics: a consumer without push needs neither.
		case <-heartbeat.C:
			if err := s.heartbeat(ctx, api); err != nil {
				return err
			}
		}
	}
}

// heartbeat sends one heartbeat.
func (s *session) heartbeat(ctx context.Context, api v2.MessagingServiceClient) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	reply, err := api.Heartbeat(ctx, &v2.HeartbeatRequest{Group: resource(s.group), ClientType: v2.ClientType_SIMPLE_CONSUMER})
	s.link.note(err)
	if err == nil {
		err = check(reply.GetStatus())
	}
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// wait returns when the session is up. After the poll timeout it fails with the reason why it is not.
func (s *session) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.pollTimeout)
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
		switch {
		case unknownGroup(s.err):
			return fmt.Errorf("%w: %w", queue.ErrUnknownGroup, detail(s.err))
		case unauthorized(s.err):
			return fmt.Errorf("%w: %w", queue.ErrUnauthorized, detail(s.err))
		}
		return fmt.Errorf("%w: %w", queue.ErrUnavailable, detail(s.err))
	}
}

// renew requests a new session.
func (s *session) renew() {
	select {
	case s.redo <- struct{}{}:
	default:
	}
}
