package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
)

// away are the beginnings of the answers of a Redis that is starting, failing over or unable to persist.
var away = []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY "}

// translate makes an error of Redis one of the port's. ctx is the caller's: when it ended, that is the error.
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
	for _, prefix := range away {
		if strings.HasPrefix(text, prefix) {
			return fmt.Errorf("%s: %w: %w", doing, queue.ErrUnavailable, err)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// detail keeps our own time-outs from looking like the end of the caller's context.
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
