package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/redisstream"
)

// One message from a producer to a consumer of the group "mail", on a Redis in the process.
func Example() {
	if err := sendAndReceive(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: attempt 1: paid
}

func sendAndReceive(ctx context.Context) error {
	server, err := miniredis.Run()
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{server.Addr()}, AlwaysPipelining: true, DisableCache: true, ForceSingleClient: true,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	broker, err := redisstream.New(client, redisstream.Config{Topics: map[string][]string{"orders": {"mail"}}})
	if err != nil {
		return err
	}
	return errors.Join(exchange(ctx, broker), broker.Close(ctx))
}

// exchange sends a message, receives it under a lease of a minute, and acknowledges it.
func exchange(ctx context.Context, broker queue.Broker) error {
	producer, err := broker.Producer()
	if err != nil {
		return err
	}
	if err := producer.Send(ctx, "orders", queue.Outgoing{Body: []byte("paid")}); err != nil {
		return err
	}
	consumer, err := broker.Consumer("orders", "mail")
	if err != nil {
		return err
	}
	messages, err := consumer.Receive(ctx, 10, time.Minute)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fmt.Printf("attempt %d: %s\n", m.Attempt, m.Body)
	}
	return consumer.Ack(ctx, messages...)
}
