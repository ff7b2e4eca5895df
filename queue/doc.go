// Package queue is the port to the message queue between the order relay and the workers behind it. It is shaped by
// leases: Receive hands a message to one consumer of a group for a time, Ack ends it, and a message that was not
// acknowledged by then comes again, to whoever asks.
//
// What holds for every adapter (package queuetest checks it):
//
//   - Send returns nil only after the broker stored every message. After an error the messages may be stored or not:
//     send them again. So a message may come twice, and consumers must be idempotent.
//   - Each group gets every message of its topic, in no promised order, at least once; consumers of one group share.
//   - Constructors neither block nor fail because the broker is down. Calls fail with ErrUnavailable until it is back
//     and work again within HealTime, with nothing to be made anew by the caller.
//   - Trace context (W3C traceparent) travels in the headers: Send injects it, Message.Context takes it out.
//
// What differs is declared in Features. Package redisstream keeps the queue in Redis, package rocketmq in RocketMQ.
package queue
