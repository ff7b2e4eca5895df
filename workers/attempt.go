package workers

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// untriedBackoff is the pause before an item that was not tried is due again. It bounds how late the item is when its dependency is back.
const untriedBackoff = 5 * time.Second

// isTried reports whether a step that failed counts as an attempt. It does not if its dependency was not called because it is unavailable or
// overloaded, or because this worker is being stopped: then the failure is no evidence about the item, and an outage must not use up its
// attempts.
func isTried(err error) bool {
	for _, notTried := range []error{order.ErrNotSent, order.ErrOverloaded, breaker.ErrCallerLeft, context.Canceled} {
		if errors.Is(err, notTried) {
			return false
		}
	}
	return true
}
