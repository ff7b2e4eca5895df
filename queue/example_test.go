package queue_test

import (
	"errors"
	"fmt"

	"github.com/spillway/spillway/queue"
)

func ExampleOutgoing_Check() {
	fmt.Println(queue.Outgoing{Body: []byte("paid"), Headers: map[string]string{"kind": "order"}}.Check())
	err := queue.Outgoing{Body: make([]byte, queue.MaxBodyBytes+1)}.Check()
	fmt.Println(errors.Is(err, queue.ErrTooLarge))
	// Output:
	// <nil>
	// true
}

func ExampleCheckName() {
	fmt.Println(queue.CheckName("topic", "spillway-orders"))
	fmt.Println(errors.Is(queue.CheckName("topic", "spillway/orders"), queue.ErrInvalid))
	// Output:
	// <nil>
	// true
}
