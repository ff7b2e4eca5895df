package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/test/realparts"
)

const (
	watchedPaid    = spillwayv1.OrderState_ORDER_STATE_PAID
	watchedShipped = spillwayv1.OrderState_ORDER_STATE_SHIPPED
	// watchLimit distinguishes the feed of Redis from the hub's own comparison of all watched orders every 15 s. An order that is placed just after
	// such a comparison, because the one before it was seen by it, takes longer unless it is fed. A slow order proves nothing: a busy machine may be the
	// reason. watchedOrders are watched at least, and up to mostWatchedOrders until one was fast.
	watchLimit                       = 12 * time.Second
	watchedOrders, mostWatchedOrders = 3, 8
	// watchTime bounds a stream: in some tests servers go and come back meanwhile.
	watchTime = 5 * time.Minute
	// shutdownMax is less than the drain, which a shutdown that waited for watchers would use up.
	shutdownMax = 15 * time.Second
)

// watched is what a stream brought until it ended.
type watched struct {
	states []spillwayv1.OrderState
	resume string
	err    error
}

// watch follows an order until the stream ends, or until it has brought so many messages. It closes opened once the server has
// accepted it.
func (s *shop) watch(token, id, resume string, messages int, opened ...chan<- struct{}) watched {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), watchTime)
	defer cancel()
	stream, err := spillwayv1connect.NewOrderServiceClient(streaming, s.url, bearer(token)).WatchOrder(ctx, &spillwayv1.WatchOrderRequest{
		OrderId: id, ResumeToken: resume,
	})
	if err != nil {
		return watched{err: err}
	}
	for _, c := range opened {
		close(c)
	}
	defer stream.Close() //nolint:errcheck // What was to be read is read.
	out := watched{resume: resume}
	for len(out.states) < messages && stream.Receive() {
		out.states, out.resume = append(out.states, stream.Msg().GetOrder().GetState()), stream.Msg().GetResumeToken()
	}
	out.err = stream.Err()
	return out
}

// streaming has no limit for a whole answer.
var streaming = &http.Client{Transport: &http.Transport{}}

// bearer sends the token with each stream.
type bearerToken string

func bearer(token string) connect.ClientOption { return connect.WithInterceptors(bearerToken(token)) }

func (bearerToken) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return next }

func (bearerToken) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (b bearerToken) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		c := next(ctx, spec)
		c.RequestHeader().Set("Authorization", "Bearer "+string(b))
		return c
	}
}

// place orders one unit and waits for its payment alone.
func (s *shop) place(token, key string) string {
	s.t.Helper()
	return s.mustPay(token, orderBody(hotSKU, 1, goodCard), key).Order.ID
}

// many is more messages than an order has states.
const many = 100

func TestWatchOrder_ToItsEndEmbedded(t *testing.T) { watchToTheEnd(t, embedded(t)) }

func TestWatchOrder_ToItsEndOnRealServers(t *testing.T) {
	watchToTheEnd(t, onRealParts(t, realparts.StartRedis(t).Addr()))
}

func watchToTheEnd(t *testing.T, s *shop) {
	t.Helper()
	token, fed := s.guest(), false
	for i := 0; i < watchedOrders || !fed && i < mostWatchedOrders; i++ {
		id, began := s.place(token, fmt.Sprint("order-", i)), time.Now()
		w := s.watch(token, id, "", many)
		took := time.Since(began)
		if n := len(w.states); w.err != nil || n == 0 || w.states[n-1] != watchedShipped || !slices.IsSorted(w.states) || len(slices.Compact(w.states)) != n {
			t.Errorf("order %d: %v, %v; want each state once, up to SHIPPED, and a clean end", i, w.states, w.err)
		}
		fed = fed || i > 0 && took < watchLimit
		t.Logf("%v after %s", w.states, took.Round(time.Millisecond))
		if again := s.watch(token, id, w.resume, many); again.err != nil || len(again.states) > 0 {
			t.Errorf("from its end: %v, %v", again.states, again.err)
		}
	}
	if !fed {
		t.Errorf("no order but the first was seen shipped within %s: the feed does not work", watchLimit)
	}
	if other := s.watch(s.guest(), s.place(token, "mine"), "", many); connect.CodeOf(other.err) != connect.CodeNotFound {
		t.Errorf("another customer: %v, %v; want not_found", other.states, other.err)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// TestWatchOrder_ResumesAfterAKill: the server is killed while an order that nothing ships is watched. Its successor, with workers, goes on
// after what was seen.
func TestWatchOrder_ResumesAfterAKill(t *testing.T) {
	s := onRealParts(t, realparts.StartRedis(t).Addr())
	s.kill()
	s.args[0] = "serve"
	s.start()
	token := s.guest()
	id := s.place(token, "k")
	before := s.watch(token, id, "", 1)
	if before.err != nil || !slices.Equal(before.states, []spillwayv1.OrderState{watchedPaid}) {
		t.Fatalf("before: %v, %v", before.states, before.err)
	}
	cut := make(chan watched, 1)
	go func() { cut <- s.watch(token, id, before.resume, many) }()
	s.kill()
	if w := receive(t, startTimeout, "the watcher to end", cut); w.err == nil || len(w.states) > 0 {
		t.Errorf("while it was killed: %v, %v; want an error", w.states, w.err)
	}
	s.args[0] = "all"
	s.start()
	if after := s.watch(token, id, before.resume, many); after.err != nil || !slices.Equal(after.states, []spillwayv1.OrderState{watchedShipped}) {
		t.Errorf("after: %v, %v; want SHIPPED alone", after.states, after.err)
	}
}

// TestShutdown_DoesNotWaitForWatchers: it ends them, with `unavailable`.
func TestShutdown_DoesNotWaitForWatchers(t *testing.T) {
	s := onRealParts(t, realparts.StartRedis(t).Addr())
	s.kill()
	s.args[0] = "serve"
	s.start()
	token := s.guest()
	id := s.place(token, "k")
	opened := make(chan struct{})
	ended := make(chan watched, 1)
	first := s.watch(token, id, "", 1)
	go func() { ended <- s.watch(token, id, first.resume, many, opened) }()
	select {
	case <-opened:
	case w := <-ended:
		t.Fatalf("the watcher was not let in: %v", w.err)
	}
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if took := time.Since(began); took > shutdownMax {
		t.Errorf("the shutdown took %s", took)
	}
	if w := receive(t, startTimeout, "the watcher to end", ended); connect.CodeOf(w.err) != connect.CodeUnavailable {
		t.Errorf("the watcher: %v, %v; want unavailable", w.states, w.err)
	}
}
