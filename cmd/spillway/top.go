package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

type topCmd struct {
	Client clientFlags `embed:"" group:"Shop"`
	outputFlags

	Interval time.Duration `default:"1s" help:"The time between two updates, 1s to 60s."`
	Once     bool          `help:"Print the figures once, without colours, and end."`
}

// Help is the end of the command's --help.
func (*topCmd) Help() string {
	return `A line is a stage of an order's path: what it does a second, how much waits for it (DEPTH) and how long the oldest of that (OLDEST), the
mean size of its batches, how old orders are when it is done with them (AGE), and the worst state of the circuit breakers that it depends on.
PROC 0 means that no process runs the stage. A dash is a figure that the shop cannot know, docs/observability.md says why. Ctrl-C ends it.

When the connection is lost, it connects again. With --output json each update is one line.

Examples:

    spillway top
    spillway top --url https://shop.example --token-file operator.token
    spillway top --once --output json | jq '.stages[] | {stage, per_second, depth}'`
}

// The bounds of --interval. The API has the same.
const (
	minTopInterval = time.Second
	maxTopInterval = time.Minute
)

const (
	// minReconnect and maxReconnect bound the pause before it connects again; it doubles with each attempt that fails.
	minReconnect = time.Second
	maxReconnect = 30 * time.Second
	// topSilence is how long no update may come, beside the interval, before the connection counts as lost: the server needs up to 3 s for one.
	topSilence = 10 * time.Second
)

// Run shows the figures until ctx ends.
func (c *topCmd) Run(ctx context.Context, env environment) error {
	if c.Interval < minTopInterval || c.Interval > maxTopInterval {
		return usageErrorf("--interval %s: must be %s to %s", c.Interval, minTopInterval, maxTopInterval)
	}
	if c.Once {
		return c.once(ctx, env.out)
	}
	var view topView = &topStream{out: env.out, json: c.json(), url: c.Client.URL}
	if t, ok := openTerminal(env.out); ok && !c.json() {
		s := &topScreen{terminal: t, url: c.Client.URL}
		s.open()
		defer s.close()
		view = s
	}
	return c.follow(ctx, view)
}

// errShown ends a stream after its first message.
var errShown = errors.New("shown")

func (c *topCmd) once(ctx context.Context, out io.Writer) error {
	err := c.stream(ctx, func(p *spillwayv1.Pipeline) error {
		err := errShown
		if c.json() {
			err = cmp.Or(printMessage(out, p), err)
		} else {
			err = cmp.Or(printLines(out, topLines(p, c.Client.URL, plainStyle)), err)
		}
		return err
	})
	if errors.Is(err, errShown) {
		return nil
	}
	return c.Client.explain(err)
}

// topView shows updates, and that the connection was lost.
type topView interface {
	show(p *spillwayv1.Pipeline) error
	lost(err error, retry time.Duration)
	// resized draws again, for a terminal of another size.
	resized()
}

// topEvent is an update, or the loss of the connection, or the end.
type topEvent struct {
	pipeline *spillwayv1.Pipeline
	err      error
	retry    time.Duration // 0 at the end
}

// follow shows updates until ctx ends, or connecting again is in vain.
func (c *topCmd) follow(ctx context.Context, view topView) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, resized := make(chan topEvent), make(chan os.Signal, 1)
	notifyResize(resized)
	defer signal.Stop(resized)
	go c.connect(ctx, events)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
			view.resized()
		case e := <-events:
			switch {
			case e.pipeline != nil:
				if err := view.show(e.pipeline); err != nil {
					return err
				}
			case e.retry == 0:
				return c.Client.explain(e.err)
			default:
				view.lost(c.Client.explain(e.err), e.retry)
			}
		}
	}
}

// connect sends the events of one stream after the other. It ends with ctx, or with an error that would come again; one before the first
// update counts as such.
func (c *topCmd) connect(ctx context.Context, events chan<- topEvent) {
	send := func(e topEvent) error {
		select {
		case events <- e:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	backoff, connected := minReconnect, false
	for {
		err := c.stream(ctx, func(p *spillwayv1.Pipeline) error {
			backoff, connected = minReconnect, true
			return send(topEvent{pipeline: p})
		})
		retry := backoff
		if !connected || !isRetryable(err) {
			retry = 0
		}
		if send(topEvent{err: err, retry: retry}) != nil || retry == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		backoff = min(2*backoff, maxReconnect)
	}
}

// isRetryable reports whether connecting again may help: not with a token that is refused, nor with a server that has no such call.
func isRetryable(err error) bool {
	var usage *exitError
	if errors.As(err, &usage) {
		return false
	}
	switch connect.CodeOf(err) { //nolint:exhaustive // Any other may pass.
	case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeUnimplemented, connect.CodeInvalidArgument, connect.CodeNotFound:
		return false
	}
	return true
}

// errSilent is the cause of a stream's end that brought no update.
var errSilent = errors.New("the server sends no updates")

// errStreamEnded is the end of a stream without an error.
var errStreamEnded = errors.New("the server ended the stream")

// stream shows the updates of one stream until it ends, which is always an error. It makes its own token, unless one is given.
func (c *topCmd) stream(ctx context.Context, show func(p *spillwayv1.Pipeline) error) error {
	client, err := c.Client.ops()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := topSilence + c.Interval
	watchdog := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	stream, err := client.WatchPipeline(ctx, topRequest(c.Interval))
	if err != nil {
		return causeOf(ctx, err)
	}
	defer func() { _ = stream.Close() }() // What it returns is why it ended, which Err has.
	for stream.Receive() {
		watchdog.Reset(silence)
		if err := show(stream.Msg().GetPipeline()); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil {
		return causeOf(ctx, err)
	}
	return errStreamEnded
}

// causeOf returns errSilent for a stream that the watchdog has ended.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		return cause
	}
	return err
}

// topStream prints one update after the other, for a file or a pipe.
type topStream struct {
	out  io.Writer
	json bool
	url  string
}

func (s *topStream) show(p *spillwayv1.Pipeline) error {
	if s.json {
		raw, err := messageJSON(p)
		if err != nil {
			return err
		}
		return json.NewEncoder(s.out).Encode(json.RawMessage(raw))
	}
	return printLines(s.out, append(topLines(p, s.url, plainStyle), ""))
}

// lost reports the loss to people; a program sees that no updates come.
func (s *topStream) lost(err error, retry time.Duration) {
	if !s.json {
		fmt.Fprintln(s.out, lostText(err, retry))
	}
}

func (*topStream) resized() {}

func lostText(err error, retry time.Duration) string {
	return fmt.Sprintf("connection lost, connecting again in %s: %s", retry, printable(err.Error()))
}

func printLines(out io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

func topRequest(interval time.Duration) *spillwayv1.WatchPipelineRequest {
	return &spillwayv1.WatchPipelineRequest{Interval: durationpb.New(interval)}
}
