package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// errSlowReader means that a watcher did not read what it was sent in time.
var errSlowReader = errors.New("the messages were not read in time; watch again with the last resume token")

// rereadDelay is when a watched order is read again that could not be read.
const rereadDelay = time.Second

// WatchOrder sends the order as it is, unless the caller saw that, and again after each change, until a final state.
func (s Orders) WatchOrder(ctx context.Context, req *spillwayv1.WatchOrderRequest, stream *connect.ServerStream[spillwayv1.WatchOrderResponse]) error {
	if s.Hub == nil {
		return order.Refuse(errUnimplemented, order.ReasonProcedureNotServed, "this process does not serve watching")
	}
	id := order.ID(req.GetOrderId())
	seen, err := seenState(req.GetResumeToken(), id)
	if err != nil {
		return err
	}
	// First the watcher, then the reading: what happens in between wakes it.
	w, err := s.Hub.Watch(customer(ctx), addressFrom(ctx), id, seen)
	if err != nil {
		return err
	}
	defer w.Close()
	conn := connOf(ctx)
	conn.clearDeadlines()
	defer conn.setWriteDeadline(writeTimeout) // what ends the stream
	return s.watch(ctx, w, func(m *spillwayv1.WatchOrderResponse) error {
		conn.setWriteDeadline(s.Hub.cfg.MaxSend)
		began := time.Now()
		err := stream.Send(m)
		if time.Since(began) >= s.Hub.cfg.SlowSend {
			return &order.RetryError{After: defaultRetryDelay, Err: errors.Join(errSlowReader, err)}
		}
		conn.clearDeadlines()
		return err
	})
}

// watch reads the order whenever the watcher is woken, and sends it if its state is newer. Sending nil sends the headers alone, so that a
// caller that has seen the current state knows that the stream is open.
func (s Orders) watch(ctx context.Context, w *Watcher, send func(*spillwayv1.WatchOrderResponse) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Hub.cfg.Lifetime, errLifetime)
	defer cancel()
	read := false
	for {
		o, err := s.Hub.read(ctx, s.Reader, w.id)
		again := time.Duration(-1)
		switch {
		case err == nil:
			if done, err := w.sendIfNewer(o, !read, send); done || err != nil {
				return err
			}
			read = true
		case !read:
			return err
		case errors.Is(err, order.ErrNotFound):
			// Its record went with Redis, and its row is not written yet, or never will be.
			return &order.RetryError{After: defaultRetryDelay, Err: fmt.Errorf("the order cannot be read any more: %w", order.ErrUnavailable)}
		default:
			again = rereadDelay // A dependency is down. If all streams ended, all clients would reconnect at once.
		}
		if err := w.await(ctx, again); err != nil {
			return err
		}
	}
}

// sendIfNewer sends the order if its state is newer than what the watcher saw. Done means that no state can follow.
func (w *Watcher) sendIfNewer(o order.Order, first bool, send func(*spillwayv1.WatchOrderResponse) error) (done bool, err error) {
	switch {
	case isNewer(order.State(w.seen.Load()), o.State): //nolint:gosec // It was stored from one.
		if err := send(&spillwayv1.WatchOrderResponse{Order: wire.Order(o), ResumeToken: resumeToken(o.ID, o.State)}); err != nil {
			return false, err
		}
		w.seen.Store(int32(o.State))
	case first && !o.State.Final():
		return false, send(nil)
	}
	return o.State.Final(), nil
}

// errLifetime is the cause of a stream's end that is as old as one may get.
var errLifetime = errors.New("a stream lasts no longer")

// await returns when the watcher is woken, or after the time unless that is negative.
func (w *Watcher) await(ctx context.Context, again time.Duration) error {
	var timer <-chan time.Time
	if again >= 0 {
		t := time.NewTimer(again)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-w.wake:
	case <-timer:
	case <-w.hub.stopped:
		return errStopping()
	case <-ctx.Done():
		if err := context.Cause(ctx); !errors.Is(err, errLifetime) {
			return err
		}
		return &order.RetryError{After: defaultRetryDelay, Err: order.Refuse(order.ErrUnavailable, order.ReasonStreamExpired,
			"a stream does not last longer: watch again with the last resume token")}
	}
	return nil
}

// read reads an order for a watcher, few at a time.
func (h *Hub) read(ctx context.Context, r OrderReader, id order.ID) (order.Order, error) {
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
		return r.Read(ctx, string(id))
	case <-ctx.Done():
		return order.Order{}, ctx.Err()
	}
}

// tokenVersion begins what a resume token holds, so that its form can change.
const tokenVersion = "1"

// resumeToken returns the token of a watcher that saw the order in the state. No state is entered twice, so that it needs nothing else.
func resumeToken(id order.ID, state order.State) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenVersion + ":" + string(id) + ":" + strconv.Itoa(int(state))))
}

// seenState reads a resume token of the order; none means that nothing was seen.
func seenState(token string, id order.ID) (order.State, error) {
	if token == "" {
		return unseen, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	text, ok := strings.CutPrefix(string(raw), tokenVersion+":"+string(id)+":")
	n, nerr := strconv.ParseInt(text, 10, 8)
	if state := order.State(n); err == nil && ok && nerr == nil && state.Valid() {
		return state, nil
	}
	return unseen, invalidField("resumeToken", "it is not a token of this order: send that of the last message, or none")
}

// streams are the procedures that return a stream: they are served for longer than a request may take.
var streams = map[string]bool{
	spillwayv1connect.OrderServiceWatchOrderProcedure: true, spillwayv1connect.OpsServiceWatchPipelineProcedure: true,
}

type connKey struct{}

// conn is the connection of a stream.
type conn struct{ c *http.ResponseController }

// withConn lets the handlers of streams set the deadlines of their connections.
func withConn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if streams[r.URL.Path] {
			r = r.WithContext(context.WithValue(r.Context(), connKey{}, http.NewResponseController(w)))
		}
		next.ServeHTTP(w, r)
	})
}

// connOf is the connection that the stream is on, or none if it is not on one.
func connOf(ctx context.Context) conn {
	c, _ := ctx.Value(connKey{}).(*http.ResponseController)
	return conn{c}
}

// clearDeadlines lets the stream idle for as long as it likes. The port's bounds count from the request: bodyTimeout would end an HTTP/1.1
// stream although its request was read, because net/http goes on reading to see whether the client is there.
func (c conn) clearDeadlines() {
	if c.c != nil {
		_ = c.c.SetReadDeadline(time.Time{})  // A connection that is gone is noticed by the next Send.
		_ = c.c.SetWriteDeadline(time.Time{}) // The same.
	}
}

// setWriteDeadline cuts the connection off when what is written from now on does not get through in time.
func (c conn) setWriteDeadline(d time.Duration) {
	if c.c != nil {
		_ = c.c.SetWriteDeadline(time.Now().Add(d)) // A connection that is gone is noticed by the next Send.
	}
}
