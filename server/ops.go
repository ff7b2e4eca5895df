package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pipeline"
)

// OpsConfig bounds the watching of the pipeline in one process.
type OpsConfig struct {
	// Watchers are how many streams there are at once. All of them share one reading.
	Watchers int
	// Interval is the least time between two readings, and between two messages of a stream.
	Interval time.Duration
	// MaxSend bounds the time in which a client reads nothing; then its connection is cut off.
	MaxSend time.Duration
	// Lifetime ends a stream, so that a token that expired does not watch for ever.
	Lifetime time.Duration
}

// DefaultOpsConfig lets 16 operators watch.
func DefaultOpsConfig() OpsConfig {
	return OpsConfig{Watchers: 16, Interval: pipeline.Interval, MaxSend: 15 * time.Second, Lifetime: 30 * time.Minute}
}

// Ops is the OpsService. Stop ends its streams.
type Ops struct {
	cfg     OpsConfig
	read    func(ctx context.Context) pipeline.View
	reading chan struct{} // holds one: the reader

	mu       sync.Mutex
	latest   pipeline.View
	watchers int
	ended    bool
	stopped  chan struct{}
}

// NewOps returns the service; read reads the shop, within a few seconds.
func NewOps(cfg OpsConfig, read func(ctx context.Context) pipeline.View) *Ops {
	return &Ops{cfg: cfg, read: read, reading: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// Stop ends all streams, so that a shutdown does not wait for them.
func (s *Ops) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		close(s.stopped)
	}
}

// WatchPipeline sends the figures of the pipeline at once and then at each interval.
func (s *Ops) WatchPipeline(
	ctx context.Context, req *spillwayv1.WatchPipelineRequest, stream *connect.ServerStream[spillwayv1.WatchPipelineResponse],
) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	conn := connOf(ctx)
	conn.clearDeadlines()
	defer conn.setWriteDeadline(writeTimeout) // what ends the stream
	return s.watch(ctx, max(req.GetInterval().AsDuration(), s.cfg.Interval), func(m *spillwayv1.WatchPipelineResponse) error {
		// A client that reads slowly delays itself alone: its next message is the newest then.
		conn.setWriteDeadline(s.cfg.MaxSend)
		defer conn.clearDeadlines()
		return stream.Send(m)
	})
}

// enter counts a watcher, within the bound.
func (s *Ops) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return errStopping()
	case s.watchers >= s.cfg.Watchers:
		return &order.RetryError{
			After: maxFeedBackoff,
			Err:   order.Refuse(order.ErrOverloaded, order.ReasonTooManyWatchers, "%d streams of the pipeline are open", s.cfg.Watchers),
		}
	}
	s.watchers++
	return nil
}

func (s *Ops) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers--
}

// watch sends messages until the stream ends. A message that took longer than the interval delays the next one.
func (s *Ops) watch(ctx context.Context, interval time.Duration, send func(*spillwayv1.WatchPipelineResponse) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.Lifetime, errLifetime)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		view, err := s.view(ctx)
		if err != nil {
			return s.end(ctx)
		}
		if err := send(&spillwayv1.WatchPipelineResponse{Pipeline: pipelineMessage(view, interval)}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-s.stopped:
			return errStopping()
		case <-ctx.Done():
			return s.end(ctx)
		}
	}
}

// end returns why a stream ended whose context has.
func (s *Ops) end(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, errLifetime) {
		return err
	}
	return &order.RetryError{After: defaultRetryDelay, Err: order.Refuse(order.ErrUnavailable, order.ReasonStreamExpired,
		"a stream does not last longer: watch again")}
}

// view returns the newest view, and reads a new one when that is older than the interval. One watcher reads, the others wait for it.
func (s *Ops) view(ctx context.Context) (pipeline.View, error) {
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return pipeline.View{}, ctx.Err()
	}
	if v := s.cached(); time.Since(v.At) < s.cfg.Interval*9/10 { // Tickers are not exact.
		return v, nil
	}
	v := s.read(context.WithoutCancel(ctx)) // The others need it although this one leaves.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = v
	return v, nil
}

func (s *Ops) cached() pipeline.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest
}
