package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

const (
	// attemptTimeout bounds one call: longer than the 15 s within which a shop finishes an order.
	attemptTimeout = 20 * time.Second
	// retryWaitMax bounds what a retry hint may ask for; a longer one is cut.
	retryWaitMax = 5 * time.Second
	// retryWaitMin is the first pause where there is no hint; it doubles.
	retryWaitMin = 100 * time.Millisecond
)

// caller makes calls, and measures each.
type caller struct {
	retries int
	stats   *stats
}

// attempts makes a call, and the same again while that may help.
func (c caller) attempts(ctx context.Context, step string, call func(ctx context.Context) (answer, error)) answer {
	unknown := false
	for n := 0; ; n++ {
		begin := time.Now()
		a, err := attempt(ctx, call)
		c.stats.step(step, time.Since(begin))
		unknown = unknown || a.unknown
		if a.again && n < c.retries && pause(ctx, retryWait(err, n)) {
			c.stats.retried()
			continue
		}
		// A later refusal says nothing of an earlier attempt that nobody answered, unless it is definite: the shop looks for
		// the key before it looks for stock.
		a.unknown = unknown && a.orderID == "" && a.outcome != SoldOut
		return a
	}
}

func attempt(ctx context.Context, call func(ctx context.Context) (answer, error)) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return call(ctx)
}

// retryWait is the shop's hint, or a growing pause, and up to half as much again, so that those who were refused together do
// not come back together.
func retryWait(err error, n int) time.Duration {
	d, ok := retryHint(err)
	if !ok {
		d = retryWaitMin << min(n, 10)
	}
	d = min(d, retryWaitMax)
	return d + time.Duration(rand.Int64N(int64(d)/2+1)) //nolint:gosec // Nothing is guessed from it.
}

func retryHint(err error) (time.Duration, bool) {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return 0, false
	}
	if info := detail[*errdetails.RetryInfo](ce); info != nil && info.GetRetryDelay().AsDuration() > 0 {
		return info.GetRetryDelay().AsDuration(), true
	}
	// A proxy on the way knows the header alone.
	seconds, err := strconv.Atoi(ce.Meta().Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0, false
	}
	return time.Duration(min(seconds, int(retryWaitMax/time.Second))) * time.Second, true
}
