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
	// attemptTimeout is the maximum duration of one call: longer than the 15 s within which a shop completes an order.
	attemptTimeout = 20 * time.Second
	// maxRetryWait is the maximum delay before a retry; longer hints are shortened to it.
	maxRetryWait = 5 * time.Second
	// minRetryWait is the first delay without a hint; it doubles.
	minRetryWait = 100 * time.Millisecond
)

// caller makes calls with retries, and measures each.
type caller struct {
	retries int
	stats   *stats
}

// attempts makes a call, and retries it while that may help.
func (c caller) attempts(ctx context.Context, step string, call func(ctx context.Context) (response, error)) response {
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
		// A later rejection does not reveal the effect of an earlier attempt without a response, unless it is final:
		// the shop looks up the idempotency key before it checks the stock.
		a.unknown = unknown && a.orderID == "" && a.outcome != SoldOut
		return a
	}
}

// attempt makes one call with the timeout of one attempt.
func attempt(ctx context.Context, call func(ctx context.Context) (response, error)) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return call(ctx)
}

// retryWait returns the shop's hint, or an exponential backoff, plus up to half of it as jitter, so that calls that
// were rejected together are not retried together.
func retryWait(err error, n int) time.Duration {
	d, ok := retryHint(err)
	if !ok {
		d = minRetryWait << min(n, 10)
	}
	d = min(d, maxRetryWait)
	return d + time.Duration(rand.Int64N(int64(d)/2+1)) //nolint:gosec // Jitter needs no secrecy.
}

// retryHint returns the delay that the shop requested, from the error's details or its Retry-After header.
func retryHint(err error) (time.Duration, bool) {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return 0, false
	}
	if info := detail[*errdetails.RetryInfo](ce); info != nil && info.GetRetryDelay().AsDuration() > 0 {
		return info.GetRetryDelay().AsDuration(), true
	}
	// A proxy in between may send the header alone.
	seconds, err := strconv.Atoi(ce.Meta().Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0, false
	}
	return time.Duration(min(seconds, int(maxRetryWait/time.Second))) * time.Second, true
}
