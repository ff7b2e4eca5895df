package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// A guarded call returns the result of the dependency. Once enough calls have failed, the breaker opens and calls are not sent any more.
func ExampleCall() {
	policy := breaker.NewPolicy("rates", breaker.Config{Timeout: time.Second, Failures: 2, Window: 4, Delay: time.Minute})
	rate, err := breaker.Call(context.Background(), policy, func(context.Context) (float64, error) { return 1.08, nil })
	fmt.Println(rate, err, policy.State())

	for range 3 {
		_, err = breaker.Call(context.Background(), policy, func(context.Context) (float64, error) {
			return 0, errors.New("connection refused")
		})
	}
	var retry *order.RetryError
	fmt.Println(policy.State(), errors.Is(err, breaker.ErrNotSent), errors.As(err, &retry))
	// Output:
	// 1.08 <nil> closed
	// open true true
}

// A charge that hangs may have happened, whereas a declined card is known to have had no effect.
func ExampleWithOutcome() {
	for _, err := range []error{order.ErrUnavailable, &order.DeclinedError{Code: "lost_card"}} {
		fmt.Println(errors.Is(breaker.WithOutcome(err), order.ErrUnknownOutcome))
	}
	// Output:
	// true
	// false
}
