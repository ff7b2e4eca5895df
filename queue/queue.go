package queue

import (
	"context"
	"time"
)

// MaxRecoveryTime is the time within which every adapter works again after its broker has returned.
const MaxRecoveryTime = 30 * time.Second

// Outgoing is a message to send.
type Outgoing struct {
	// Body is opaque to the queue and has 1 to MaxBodyBytes bytes. It must not change until Send returns.
	Body []byte
	// Headers may be nil. Names consist of lower-case letters, digits, '-' and '_'; see also MaxHeaders.
	Headers map[string]string
}

// Message is a message under a lease.
type Message struct {
	// ID identifies the message in its topic. It is the same in each delivery.
	ID string
	// Body is unchanged from Outgoing. The receiver owns it.
	Body []byte
	// Headers are those of Outgoing and the trace context; never nil.
	Headers map[string]string
	// Attempt is the number of the delivery to the group, from 1. It may skip numbers but never decreases.
	Attempt int
	// Receipt is private to the adapter. It identifies the delivery in Ack and Release.
	Receipt any

	// origin is where a consumer of a traced broker received it.
	origin *origin
}

// Producer sends messages. It is safe for concurrent use.
type Producer interface {
	// Send stores messages in the topic, all of them when it returns nil. After an error each of them may or may not be
	// stored: send all of them again, except after ErrTooLarge or ErrInvalid, which are not retryable. It fails with
	// ErrUnavailable while the broker is down and with ErrFull while the topic is at its maximum. It does not retry by
	// itself and takes a few seconds at most.
	Send(ctx context.Context, topic string, messages ...Outgoing) error
	// Close releases the resources. Further calls have no effect. Send fails with ErrClosed afterwards.
	Close(ctx context.Context) error
}

// Consumer receives the messages of one topic for one consumer group. It is safe for concurrent use.
type Consumer interface {
	// Receive waits up to Features.PollTimeout and returns 1 to max messages (at most Features.MaxReceive), or none and
	// no error if there were none. The caller holds them for the lease, which must be between Features.MinLease and
	// MaxLease; all consumers of a group should request the same one.
	//
	// It returns at once when ctx ends; a message that arrives at the same moment is released. While the broker is down
	// it fails with ErrUnavailable and backs off, so that a loop around it does not spin. It fails with ErrUnknownGroup
	// while the broker does not know the group.
	Receive(ctx context.Context, max int, lease time.Duration) ([]Message, error)
	// Ack completes the messages. After an error some of them may be redelivered. A lease that expired before is no
	// error: the message has been or will be redelivered, unless Features.AckAfterLease.
	Ack(ctx context.Context, messages ...Message) error
	// Release ends leases early, so that the messages are redelivered soon, with the next Attempt. It is an
	// optimization: without it they are redelivered when their lease expires. Do not acknowledge released messages.
	Release(ctx context.Context, messages ...Message) error
	// Close waits until the calls in progress have ended or ctx ends, and releases the resources. Unacknowledged leases
	// expire by themselves. Further calls have no effect. Receive fails with ErrClosed afterwards.
	Close(ctx context.Context) error
}

// Broker makes producers and consumers. Its constructors do not wait for the broker; see the guarantees of the package.
type Broker interface {
	// Producer makes a producer for any topic.
	Producer() (Producer, error)
	// Consumer makes a consumer of the topic for the group. It fails only for a name that can never work.
	Consumer(topic, group string) (Consumer, error)
	// Features returns the properties in which this adapter differs from others.
	Features() Features
	// Close closes every producer and consumer of this broker and what they share.
	Close(ctx context.Context) error
}

// Features declares the differences between adapters.
type Features struct {
	// Name is the adapter's name, for logs.
	Name string
	// PollTimeout is the maximum time that Receive waits for a message.
	PollTimeout time.Duration
	// MaxReceive is the maximum number of messages that one Receive returns.
	MaxReceive int
	// MinLease and MaxLease are the bounds of the lease.
	MinLease, MaxLease time.Duration
	// MaxRedeliveryDelay is the maximum time between the expiry or release of a lease and the redelivery, provided that
	// a consumer is receiving.
	MaxRedeliveryDelay time.Duration
	// LeaseOfNext means that an unacknowledged message is redelivered when it has been idle for the lease that its next
	// receiver requests. Otherwise the lease of its own Receive applies. The two are equal when all consumers of a
	// group request the same lease.
	LeaseOfNext bool
	// AckAfterLease means that an acknowledgement counts although the lease has expired. Otherwise the message is
	// redelivered.
	AckAfterLease bool
	// CreatesGroups means that a group is created when it first receives. Otherwise an operator creates it, and Receive
	// fails with ErrUnknownGroup before. Either way a new group begins with the messages that its topic already holds.
	CreatesGroups bool
	// DeadLetters means that the broker moves a message to a dead-letter topic after the maximum number of attempts of
	// its group. Configure a maximum far above the attempts of an outage.
	DeadLetters bool
	// DeadLetterPrefix is the start of the name of the dead-letter topic, which the name of the group follows. A
	// Consumer reads it like any other topic. It is empty unless DeadLetters.
	DeadLetterPrefix string
}
