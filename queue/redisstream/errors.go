package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
)

// unavailableReplies are the prefixes of error replies of a Redis that is starting, failing over or unable to persist.
var unavailableReplies = []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY "}

// translate maps an error of Redis to one of the port. When the caller's ctx has ended, its error is returned.
func translate(ctx context.Context, doing string, err error) error {
	if err == nil || errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFull) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	answer, ok := rueidis.IsRedisErr(err)
	if !ok {
		return fmt.Errorf("%s: %w: %w", doing, queue.ErrUnavailable, detail(err))
	}
	text := answer.Error()
	if strings.HasPrefix(text, "OOM") {
		return fmt.Errorf("%s: %w: redis has no memory left: %w", doing, queue.ErrFull, err)
	}
	for _, prefix := range unavailableReplies {
		if strings.HasPrefix(text, prefix) {
			return fmt.Errorf("%s: %w: %w", doing, queue.ErrUnavailable, err)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// detail hides our own timeouts from errors.Is, so that they do not look like the end of the caller's context.
func detail(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errors.New("redis did not answer in time")
	}
	return err
}

func isNoGroup(err error) bool { return hasPrefix(err, "NOGROUP") }

func isBusyGroup(err error) bool { return hasPrefix(err, "BUSYGROUP") }

func hasPrefix(err error, prefix string) bool {
	answer, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(answer.Error(), prefix)
}
