// Package queue is the port to the message queue between the order relay and its consumers. Delivery is by lease:
// Receive gives a message to one consumer of a consumer group for a limited time, Ack completes it, and a message that
// is not acknowledged before its lease expires is redelivered to any consumer of the group.
//
// Guarantees of every adapter, checked by package queuetest:
//
//   - Send returns nil only after the broker stored every message. After an error the messages may or may not be stored:
//     send them again. Duplicates are therefore possible, and consumers must be idempotent.
//   - Each group receives every message of its topic at least once, in no particular order. The consumers of a group share the
//     messages.
//   - Constructors neither block nor fail while the broker is down. Calls fail with ErrUnavailable until it is back, and work
//     again within MaxRecoveryTime. The caller does not recreate anything.
//   - Trace context (W3C traceparent and tracestate) is carried in the headers: Send injects it, Message.Context extracts it.
//
// Traced adds the spans of messaging to a broker, Process those of its consumers.
//
// Features declares the differences between adapters. Package redisstream implements the port on Redis Streams, package
// rocketmq on RocketMQ.
package queue
