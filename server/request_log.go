package server

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"connectrpc.com/connect"
)

const (
	// slowRequest is the duration from which a unary call is logged although it succeeded.
	slowRequest = time.Second
	// requestLinesPerSecond bounds the lines about failed and slow calls, and those about the others: a flash sale refuses thousands a second.
	requestLinesPerSecond = 50
	// debugShare is one in how many of the other calls is logged at debug level.
	debugShare = 100
)

// requestLog logs failed and slow calls: procedure, code, reason, duration, and the error of a dependency; the logger adds the ids of request and
// trace. No line holds anything of a request's or response's content.
type requestLog struct {
	log *slog.Logger
	now func() time.Time

	mu sync.Mutex
	// warnings are the lines about failed and slow calls, which refused ones must not keep out.
	warnings, others lineCount
}

// lineCount counts lines of one kind.
type lineCount struct {
	second   int64 // Unix time
	lines    int   // in this second
	unlogged int64 // since the last line
}

func newRequestLog(log *slog.Logger, now func() time.Time) *requestLog {
	return &requestLog{log: log, now: now}
}

// intercept is the interceptor. It sees the errors as they are sent.
func (l *requestLog) intercept() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				start := l.now()
				resp, err := next(ctx, req)
				took := l.now().Sub(start)
				l.record(ctx, req.Spec().Procedure, took, took >= slowRequest, err)
				return resp, err
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				start := l.now()
				err := next(ctx, conn)
				l.record(ctx, conn.Spec().Procedure, l.now().Sub(start), false, err)
				return err
			}
		},
	}
}

// record logs one call at the level of its outcome: warn for what is this process's failure or slow, info for a refusal, debug for one in
// debugShare of the others.
func (l *requestLog) record(ctx context.Context, procedure string, took time.Duration, slow bool, err error) {
	level, text := slog.LevelDebug, "request"
	switch {
	case err != nil && isOurs(connect.CodeOf(err)):
		level, text = slog.LevelWarn, "request failed"
	case slow:
		level, text = slog.LevelWarn, "request was slow"
	case err != nil && connect.CodeOf(err) != connect.CodeCanceled: // A caller that left was not refused: each watcher leaves at some time.
		level, text = slog.LevelInfo, "request refused"
	case rand.N(debugShare) > 0: //nolint:gosec // Sampling needs no secrecy.
		return
	}
	if !l.log.Enabled(ctx, level) {
		return
	}
	unlogged, ok := l.admit(level)
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("procedure", procedure), slog.Duration("duration", took)}
	if err != nil {
		attrs = append(attrs, slog.String("code", connect.CodeOf(err).String()), slog.String("reason", resultOf(err)))
		var refused *refusalError
		if errors.As(err, &refused) {
			attrs = append(attrs, refused.logAttrs()...)
		}
	}
	if unlogged > 0 {
		attrs = append(attrs, slog.Int64("unlogged", unlogged))
	}
	l.log.LogAttrs(ctx, level, text, attrs...) //nolint:sloglint // One of three constants.
}

// logAttrs are the name of the limit that the call exceeded, which is one of ours, and what is not sent: why a dependency is unavailable.
func (e *refusalError) logAttrs() (attrs []slog.Attr) {
	if limit := e.metadata[metaLimit]; limit != "" {
		attrs = append(attrs, slog.String(metaLimit, limit))
	}
	if e.cause != nil {
		attrs = append(attrs, slog.Any("error", e.cause))
	}
	return attrs
}

// isOurs reports whether the code is a failure of this process or its dependencies.
func isOurs(code connect.Code) bool {
	switch code { //nolint:exhaustive // The others are the caller's.
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeUnavailable, connect.CodeDataLoss:
		return true
	}
	return false
}

// admit reports whether another line of the level may be written in this second, and how many of its kind were not since the last one.
func (l *requestLog) admit(level slog.Level) (unlogged int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.others
	if level >= slog.LevelWarn {
		c = &l.warnings
	}
	if s := l.now().Unix(); s != c.second {
		c.second, c.lines = s, 0
	}
	if c.lines >= requestLinesPerSecond {
		c.unlogged++
		return 0, false
	}
	c.lines++
	unlogged, c.unlogged = c.unlogged, 0
	return unlogged, true
}
