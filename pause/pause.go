// Package pause has the pause that ends with its context.
package pause

import (
	"context"
	"time"
)

// For returns nil after d, or the error of ctx when that ends first.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
