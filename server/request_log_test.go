package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
)

// logged returns what the log has about a call with the outcome.
func logged(t *testing.T, level slog.Level, took time.Duration, outcome error) string {
	t.Helper()
	var text bytes.Buffer
	now := time.Unix(1, 0)
	l := newRequestLog(slog.New(requestid.NewLogHandler(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: level}))), func() time.Time { return now })
	call := l.intercept().WrapUnary(func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) {
		now = now.Add(took)
		return nil, outcome
	})
	if _, err := call(requestid.With(t.Context(), "R-1"), connect.NewRequest(&struct{}{})); !errors.Is(err, outcome) {
		t.Errorf("the call returned %v", err)
	}
	return text.String()
}

func TestRequestLog_FailedAndSlowCalls(t *testing.T) {
	for name, c := range map[string]struct {
		took    time.Duration
		outcome error
		want    []string
	}{
		"good":    {time.Millisecond, nil, nil},
		"slow":    {time.Second, nil, []string{"level=WARN", "request was slow", "duration=1s", "request_id=R-1"}},
		"failed":  {2 * time.Second, connect.NewError(connect.CodeUnavailable, errors.New("secret")), []string{"level=WARN", "request failed", "code=unavailable", "request_id=R-1"}},
		"refused": {0, connect.NewError(connect.CodeInvalidArgument, errors.New("secret")), []string{"level=INFO", "request refused", "reason=invalid_argument"}},
		// A call of a closed page that watched an order ends so.
		"the caller left":             {0, connect.NewError(connect.CodeCanceled, context.Canceled), nil},
		"the caller left a slow call": {time.Second, connect.NewError(connect.CodeCanceled, context.Canceled), []string{"level=WARN", "request was slow", "code=canceled"}},
		"a dependency is unavailable": {
			0,
			translate(t.Context(), slog.New(slog.DiscardHandler), "/p", fmt.Errorf("the breaker of redis is open: %w", order.ErrUnavailable)),
			[]string{"request failed", "reason=UNAVAILABLE", "error=\"the breaker of redis is open: temporarily unavailable\""},
		},
		"limited": {0, &refusalError{refusal: refusalOf(&order.LimitError{Limit: order.LimitCustomerCharges, Maximum: 2})}, []string{"reason=LIMIT_EXCEEDED", "limit=charges_per_customer"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := logged(t, slog.LevelInfo, c.took, c.outcome)
			if (got == "") != (c.want == nil) || strings.Contains(got, "secret") {
				t.Errorf("logged: %q", got)
			}
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in %q", want, got)
				}
			}
		})
	}
}

func TestRequestLog_OneInAHundredOfTheOthersAtDebug(t *testing.T) {
	var lines int
	for range 5000 {
		lines += strings.Count(logged(t, slog.LevelDebug, 0, nil), "\n")
	}
	if lines < 10 || lines > 110 { // 50, and 8 standard deviations
		t.Errorf("%d of 5000 calls are logged", lines)
	}
}

// TestRequestLog_BoundsItsLines: a flash sale that refuses thousands of calls a second writes 50 lines, and the next one counts the others.
func TestRequestLog_BoundsItsLines(t *testing.T) {
	var text bytes.Buffer
	now := time.Unix(1, 0)
	l := newRequestLog(slog.New(slog.NewTextHandler(&text, nil)), func() time.Time { return now })
	refused := connect.NewError(connect.CodeFailedPrecondition, errors.New("sold out"))
	for range 1000 {
		l.record(t.Context(), "/p", 0, false, refused)
	}
	if n := strings.Count(text.String(), "\n"); n != requestLinesPerSecond {
		t.Errorf("%d lines", n)
	}
	l.record(t.Context(), "/p", 0, false, connect.NewError(connect.CodeInternal, errors.New("a defect")))
	if !strings.Contains(text.String(), "code=internal") {
		t.Error("a failed call is not logged because others were refused")
	}
	now = now.Add(time.Second)
	l.record(t.Context(), "/p", 0, false, refused)
	if !strings.HasSuffix(text.String(), "unlogged=950\n") {
		t.Error("the next line does not count the others")
	}
}
