package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

const (
	paidState    = spillwayv1.OrderState_ORDER_STATE_PAID
	failedState  = spillwayv1.OrderState_ORDER_STATE_SHIP_FAILED
	shippedState = spillwayv1.OrderState_ORDER_STATE_SHIPPED
)

// watchFixture is the real port with one order that is watched.
type watchFixture struct {
	*edgeFixture
	*fakeWatchedOrder
	hub  *Hub
	feed *fakeFeed
	stop context.CancelFunc
}

func serveWatched(t *testing.T, state order.State, change ...func(*HubConfig)) *watchFixture {
	t.Helper()
	watched := &fakeWatchedOrder{o: orderOf("me", state, 0)}
	hub, f, stop := startHub(t, watched, change...)
	reader := OrderReader{Hot: stubHotOrders{}, Rows: fakeWatchedRows{watched: watched}, Log: slog.New(slog.DiscardHandler)}
	return &watchFixture{edgeFixture: startServer(t, Services{Order: Orders{Reader: reader, Hub: hub}}), fakeWatchedOrder: watched, hub: hub, feed: f, stop: stop}
}

// change brings the order into the state and lets Redis tell it.
func (w *watchFixture) change(t *testing.T, state order.State) {
	t.Helper()
	w.become(state)
	feedTo(t, w.feed.changed, w.o.ID)
}

// authorized sends the token with each stream.
func authorized(token string) connect.ClientOption {
	return connect.WithInterceptors(clientHeader(token))
}

// clientHeader is an interceptor of clients' streams.
type clientHeader string

func (clientHeader) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return next }

func (clientHeader) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (h clientHeader) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		c := next(ctx, spec)
		c.RequestHeader().Set("Authorization", "Bearer "+string(h))
		return c
	}
}

// watchStream is one stream.
type watchStream struct {
	t *testing.T
	*connect.ServerStreamForClient[spillwayv1.WatchOrderResponse]
}

func (w *watchFixture) watch(t *testing.T, customer, resume string, http1 *http.Client, opts ...connect.ClientOption) watchStream {
	t.Helper()
	client := spillwayv1connect.NewOrderServiceClient(http1, w.url, append(opts, authorized(w.token(t, customer)))...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*watchWait)
	t.Cleanup(cancel)
	stream, err := client.WatchOrder(ctx, &spillwayv1.WatchOrderRequest{OrderId: string(w.o.ID), ResumeToken: resume})
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return watchStream{t, stream}
}

// want reads the next message and returns its resume token.
func (s watchStream) want(state spillwayv1.OrderState) string {
	s.t.Helper()
	if !s.Receive() {
		s.t.Fatalf("the stream ended before %v: %v", state, s.Err())
	}
	if got := s.Msg().GetOrder().GetState(); got != state {
		s.t.Errorf("state %v; want %v", got, state)
	}
	return s.Msg().GetResumeToken()
}

func (s watchStream) wantEnd(code connect.Code) {
	s.t.Helper()
	if s.Receive() {
		s.t.Fatalf("one more message: %v", s.Msg())
	}
	if err := s.Err(); (code == 0) != (err == nil) || (err != nil && connect.CodeOf(err) != code) {
		s.t.Errorf("ended with %v; want code %v (0 is cleanly)", err, code)
	}
}

// wantHint is wantEnd, with when to come back.
func (s watchStream) wantHint(code connect.Code) {
	s.t.Helper()
	s.wantEnd(code)
	var ce *connect.Error
	if !errors.As(s.Err(), &ce) || detailOf[*errdetails.RetryInfo](ce).GetRetryDelay().AsDuration() <= 0 {
		s.t.Errorf("%v has no RetryInfo", s.Err())
	}
}

// TestWatchOrder_ToItsFinalStateOverEachProtocol follows it to its end over each protocol, and goes on from where a caller left off.
func TestWatchOrder_ToItsFinalStateOverEachProtocol(t *testing.T) {
	for name, p := range protocols(h2cClient(t), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}) {
		t.Run(name, func(t *testing.T) {
			w := serveWatched(t, order.Paid)
			all := w.watch(t, "me", "", p.client, p.opts...)
			seen := all.want(paidState)
			w.change(t, order.ShipFailed)
			failed := all.want(failedState)
			// Between the two it became SHIP_FAILED.
			late := w.watch(t, "me", seen, p.client, p.opts...)
			late.want(failedState)
			// This one has seen that, and waits for more.
			later := w.watch(t, "me", failed, p.client, p.opts...)
			w.eventuallyWatched(t, 3)
			w.change(t, order.Shipped)
			for _, s := range []watchStream{all, late, later} {
				end := s.want(shippedState)
				s.wantEnd(0)
				if s := w.watch(t, "me", end, p.client, p.opts...); s.Receive() || s.Err() != nil {
					t.Errorf("after the end: %v, %v; want a clean end at once", s.Msg(), s.Err())
				}
			}
			w.eventuallyWatched(t, 0)
		})
	}
}

// eventuallyWatched returns when there are so many watchers.
func (w *watchFixture) eventuallyWatched(t *testing.T, n int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	got := -1
	for deadline := time.Now().Add(watchWait); time.Now().Before(deadline); <-tick.C {
		w.hub.mu.Lock()
		got = w.hub.count
		w.hub.mu.Unlock()
		if got == n {
			return
		}
	}
	t.Fatalf("%d watchers; want %d", got, n)
}

// TestWatchOrder_OrdersOfOthersAreNotFound: streams are authenticated, validated and translated like everything else.
func TestWatchOrder_OrdersOfOthersAreNotFound(t *testing.T) {
	w := serveWatched(t, order.Shipped)
	for name, p := range protocols(h2cClient(t), w.client) {
		theirs := w.watch(t, "they", "", p.client, p.opts...)
		theirs.wantEnd(connect.CodeNotFound)
		if text := theirs.Err().Error(); !strings.Contains(text, fmt.Sprintf("there is no order %q among yours", w.o.ID)) {
			t.Errorf("%s: another's order: %s", name, text)
		}
		w.watch(t, "me", "nonsense", p.client, p.opts...).wantEnd(connect.CodeInvalidArgument)
		client := spillwayv1connect.NewOrderServiceClient(p.client, w.url, p.opts...)
		stream, err := client.WatchOrder(t.Context(), &spillwayv1.WatchOrderRequest{OrderId: string(w.o.ID)})
		if err != nil {
			t.Fatal(err)
		}
		watchStream{t, stream}.wantEnd(connect.CodeUnauthenticated)
		_ = stream.Close()
		client = spillwayv1connect.NewOrderServiceClient(p.client, w.url, append(p.opts, authorized(w.token(t, "me")))...)
		if stream, err = client.WatchOrder(t.Context(), &spillwayv1.WatchOrderRequest{}); err != nil {
			t.Fatal(err)
		}
		watchStream{t, stream}.wantEnd(connect.CodeInvalidArgument)
		_ = stream.Close()
	}
	boss := spillwayv1connect.NewOrderServiceClient(w.client, w.url, authorized(w.token(t, "boss", auth.Operator)))
	stream, err := boss.WatchOrder(t.Context(), &spillwayv1.WatchOrderRequest{OrderId: string(w.o.ID)})
	if err != nil {
		t.Fatal(err)
	}
	watchStream{t, stream}.want(shippedState)
	_ = stream.Close()
}

func TestWatchOrder_TooManyWatchers(t *testing.T) {
	w := serveWatched(t, order.Paid, func(cfg *HubConfig) { cfg.Watchers = 2 })
	first := w.watch(t, "me", "", w.client)
	first.want(paidState)
	w.watch(t, "me", "", w.client).want(paidState)
	w.watch(t, "me", "", w.client).wantHint(connect.CodeResourceExhausted)
	// Who is answered once is not in their way.
	if status, _, body := w.post(t, spillwayv1connect.OrderServiceGetOrderProcedure, w.token(t, "me"), fmt.Sprintf(`{"orderId":%q}`, w.o.ID)); status != http.StatusOK {
		t.Errorf("get: %d %s", status, body)
	}
	_ = first.Close()
	w.eventuallyWatched(t, 1)
	w.watch(t, "me", "", w.client).want(paidState)
}

// TestWatchOrder_ServerStops: with `unavailable` and a hint, at once, so that the shutdown does not wait for them.
func TestWatchOrder_ServerStops(t *testing.T) {
	for name, p := range protocols(h2cClient(t), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}) {
		w := serveWatched(t, order.Paid)
		s := w.watch(t, "me", "", p.client, p.opts...)
		s.want(paidState)
		began := time.Now()
		w.stop()
		s.wantHint(connect.CodeUnavailable)
		if took := time.Since(began); took > drainTimeout-time.Second { // A shutdown that waits for watchers uses up all of it.
			t.Errorf("%s: ended after %s", name, took)
		}
	}
}

func TestWatchOrder_Lifetime(t *testing.T) {
	w := serveWatched(t, order.Paid, func(cfg *HubConfig) { cfg.Lifetime = time.Second })
	s := w.watch(t, "me", "", w.client)
	s.want(paidState)
	s.wantHint(connect.CodeUnavailable)
}

// TestWatchOrder_DependencyUnavailable: a stream outlives what it cannot read for a while, but not an order that is gone.
func TestWatchOrder_DependencyUnavailable(t *testing.T) {
	w := serveWatched(t, order.Paid)
	s := w.watch(t, "me", "", w.client)
	s.want(paidState)
	w.set(func(watched *fakeWatchedOrder) { watched.err = fmt.Errorf("no route: %w", order.ErrUnavailable) })
	w.watch(t, "me", "", w.client).wantHint(connect.CodeUnavailable)
	w.change(t, order.ShipFailed)
	w.set(func(watched *fakeWatchedOrder) { watched.err = nil })
	s.want(failedState) // It is read again by itself.
	w.set(func(watched *fakeWatchedOrder) { watched.gone = true })
	feedTo(t, w.feed.changed, w.o.ID)
	s.wantHint(connect.CodeUnavailable)
	w.watch(t, "me", "", w.client).wantEnd(connect.CodeNotFound)
}

// frozen is a client that sends a request for a stream and reads nothing until it is told to.
func (w *watchFixture) frozen(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	msg := fmt.Sprintf(`{"orderId":%q}`, w.o.ID)
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(msg))), msg...)
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		spillwayv1connect.OrderServiceWatchOrderProcedure, w.token(t, "me"), len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// big is an order with a message larger than what a kernel keeps for a reader.
func (w *watchFixture) big() {
	w.set(func(watched *fakeWatchedOrder) {
		watched.o.Lines = []order.Line{{SKU: "A", Name: strings.Repeat("n", 16<<20), Quantity: 1}}
	})
}

// TestWatchOrder_SlowReader: one that takes too long for a message gets it, and then `aborted`; one that takes nothing is paginate off.
func TestWatchOrder_SlowReader(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		w := serveWatched(t, order.Paid, func(cfg *HubConfig) { cfg.SlowSend, cfg.MaxSend = 50*time.Millisecond, 2*watchWait })
		w.big()
		conn := w.frozen(t)
		w.eventuallyWatched(t, 1)
		<-time.After(4 * w.hub.cfg.SlowSend)
		if err := conn.SetReadDeadline(time.Now().Add(2 * watchWait)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if text := string(answer); err != nil || !strings.Contains(text, `"resumeToken":"`) || !strings.Contains(text, `"code":"aborted"`) ||
			!strings.Contains(text, "RetryInfo") {
			t.Errorf("of %d bytes (%v) the end is %q; want a message and `aborted`", len(text), err, text[max(0, len(text)-300):])
		}
		w.eventuallyWatched(t, 0)
	})
	t.Run("takes nothing", func(t *testing.T) {
		w := serveWatched(t, order.Paid, func(cfg *HubConfig) { cfg.SlowSend, cfg.MaxSend = 50*time.Millisecond, time.Second })
		w.big()
		w.frozen(t)
		w.eventuallyWatched(t, 1)
		w.eventuallyWatched(t, 0)
	})
}

// TestWatchOrder_OutlivesReadAndWriteTimeouts on a port with short timeouts.
func TestWatchOrder_OutlivesReadAndWriteTimeouts(t *testing.T) {
	watched := &fakeWatchedOrder{o: orderOf("me", order.Paid, 0)}
	hub, f, _ := startHub(t, watched)
	w := &watchFixture{edgeFixture: startServer(t, Services{}), fakeWatchedOrder: watched, hub: hub, feed: f}
	reader := OrderReader{Hot: stubHotOrders{}, Rows: fakeWatchedRows{watched: watched}, Log: slog.New(slog.DiscardHandler)}
	const short = 500 * time.Millisecond
	srv := &http.Server{
		Handler:     NewHandler(Config{Tokens: w.tokens, Log: slog.New(slog.DiscardHandler)}, Services{Order: Orders{Reader: reader, Hub: hub}}),
		ReadTimeout: short, WriteTimeout: short, Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(listener) //nolint:errcheck // It is closed.
	t.Cleanup(func() { _ = srv.Close() })
	w.url = "http://" + listener.Addr().String()
	var open []watchStream
	for _, p := range protocols(h2cClient(t), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}) {
		s := w.watch(t, "me", "", p.client, p.opts...)
		s.want(paidState)
		open = append(open, s)
	}
	<-time.After(3 * short)
	w.change(t, order.ShipFailed)
	for _, s := range open {
		s.want(failedState)
	}
	<-time.After(3 * short)
	w.change(t, order.Shipped)
	for _, s := range slices.Backward(open) {
		s.want(shippedState)
		s.wantEnd(0)
	}
}

func TestContentTypes_UnaryCallOfAStream(t *testing.T) {
	w := serveWatched(t, order.Paid)
	status, _, body := w.post(t, spillwayv1connect.OrderServiceWatchOrderProcedure, w.token(t, "me"), fmt.Sprintf(`{"orderId":%q}`, w.o.ID))
	if status != http.StatusUnsupportedMediaType || !strings.Contains(body, "application/connect+json") {
		t.Errorf("answered %d %s", status, body)
	}
}

// TestWatchOrder_ClaimedMeanwhile: the stream of the guest ends with the next change, and the customer's begins.
func TestWatchOrder_ClaimedMeanwhile(t *testing.T) {
	w := serveWatched(t, order.Pending)
	w.set(func(watched *fakeWatchedOrder) { watched.o.CustomerID = guestA })
	guest := w.watch(t, guestA, "", w.client)
	resume := guest.want(spillwayv1.OrderState_ORDER_STATE_PENDING)
	w.set(func(watched *fakeWatchedOrder) { watched.o.ClaimedBy = "ada" })
	w.change(t, order.Paid)
	guest.wantHint(connect.CodeUnavailable)
	w.watch(t, guestA, resume, w.client).wantEnd(connect.CodeNotFound)
	w.watch(t, "ada", resume, w.client).want(paidState)
}
