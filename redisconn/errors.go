package redisconn

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// RetryAfter is the hint to callers of when to retry while Redis is unavailable or no epoch is open: opening one takes a second or two.
const RetryAfter = time.Second

var (
	// ErrInstance means that the Redis behind the address is another instance than the allowed one, or has another history. It may
	// hold older data.
	ErrInstance = errors.New("redis is another instance, or has another history, than the one of the open epoch")
	// ErrEviction means that Redis may evict keys. Retries fail until its configuration is changed.
	ErrEviction = errors.New("redis may evict keys")
	// ErrReplicas means that Redis takes writes without a replica. Retries fail until its configuration is changed.
	ErrReplicas = errors.New("redis takes writes without a replica")
)

// Unavailable wraps the error of a call to Redis in an order.RetryError with order.ErrUnavailable. It returns the error of an open breaker, which
// has a retry hint already, and breaker.ErrCallerLeft unchanged.
func Unavailable(err error) error {
	var retry *order.RetryError
	if errors.As(err, &retry) || errors.Is(err, breaker.ErrCallerLeft) {
		return err
	}
	return &order.RetryError{After: RetryAfter, Err: fmt.Errorf("redis: %w: %w", order.ErrUnavailable, err)}
}

// NonRedisError returns the first error among the replies of a pipeline that is not an error reply of Redis: that Redis works is what a
// breaker counts, not how it replies.
func NonRedisError(replies []rueidis.RedisResult) error {
	for _, r := range replies {
		if err := r.NonRedisError(); err != nil {
			return err
		}
	}
	return nil
}
