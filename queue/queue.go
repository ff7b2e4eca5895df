package queue

import (
	"context"
	"time"
)

// HealTime is how soon after the broker's return every adapter works again.
const HealTime = 30 * time.Second

// Outgoing is a message to be sent.
type Outgoing struct {
	// Body is opaque to the queue; 1 to MaxBodyBytes bytes. It must not change until Send returns.
	Body []byte
	// Headers may be nil. Names are made of lower-case letters, digits, '-' and '_'; see also MaxHeaders.
	Headers map[string]string
}

// Message is a message under a lease.
type Message struct {
	// ID names the message in its topic; each delivery of it carries the same one.
	ID string
	// Body is as it was sent. The receiver owns it.
	Body []byte
	// Headers are as they were sent, plus the trace context; never nil.
	Headers map[string]string
	// Attempt counts the deliveries to the group: 1 is the first. It may skip numbers, but never falls.
	Attempt int
	// Receipt is the adapter's own: it says to Ack and Release which delivery is meant.
	Receipt any
}

// Producer sends. It is safe for concurrent use.
type Producer interface {
	// Send stores messages in the topic, all of them when it returns nil. After an error each of them may be stored or
	// not: send all of them again, unless it is ErrTooLarge or ErrInvalid, which no retry helps. It fails with
	// ErrUnavailable while the broker is away and with ErrFull when the topic is at its bound. It does not retry by itself
	// and waits a few seconds at most.
	Send(ctx context.Context, topic string, messages ...Outgoing) error
	// Close lets the resources go. A second call does nothing. Sending afterwards fails with ErrClosed.
	Close(ctx context.Context) error
}

// Consumer receives one topic for one group. It is safe for concurrent use.
type Consumer interface {
	// Receive waits up to Features.Await for messages and returns between one and max of them (at most
	// Features.ReceiveMax), or none and no error when there was nothing. They are the caller's for the lease, which must
	// lie within Features.LeaseMin and LeaseMax; all consumers of a group should ask for the same one.
	//
	// It returns at once when ctx ends; a message that arrives in that very moment is released. While the broker is
	// away it fails with ErrUnavailable, and paces itself, so that a loop around it does not spin. It fails with
	// ErrUnknownGroup while the broker does not know the group.
	Receive(ctx context.Context, max int, lease time.Duration) ([]Message, error)
	// Ack says that the messages are dealt with. After an error some may come again. It is no error when a lease ran
	// out before: then the message has come again, or will (Features.AckAfterLease says which adapter forgives that).
	Ack(ctx context.Context, messages ...Message) error
	// Release ends leases early, so that the messages come again soon, with the next Attempt. It is an optimization:
	// what is not released comes when its lease has run out. Do not acknowledge afterwards.
	Release(ctx context.Context, messages ...Message) error
	// Close waits, as long as ctx allows, for calls under way and lets the resources go. Leases not acknowledged run out
	// by themselves. A second call does nothing. Receiving afterwards fails with ErrClosed.
	Close(ctx context.Context) error
}

// Broker makes producers and consumers. Neither constructor waits for the broker: see the package's promises.
type Broker interface {
	// Producer makes a producer for any topic.
	Producer() (Producer, error)
	// Consumer makes a consumer of the topic for the group. It fails only for a name that can never work.
	Consumer(topic, group string) (Consumer, error)
	// Features declares how this adapter differs from others.
	Features() Features
	// Close closes all that this broker made and what they share.
	Close(ctx context.Context) error
}

// Features declares the differences between adapters.
type Features struct {
	// Name is the adapter's, for logs.
	Name string
	// Await is the longest that Receive waits for a message.
	Await time.Duration
	// ReceiveMax is the most messages that one Receive returns.
	ReceiveMax int
	// LeaseMin and LeaseMax bound the lease.
	LeaseMin, LeaseMax time.Duration
	// RedeliveryDelayMax is how long after the end of its lease, or after its release, a message comes again at the
	// latest, if somebody is receiving.
	RedeliveryDelayMax time.Duration
	// LeaseOfNext says that an unacknowledged message comes again when the lease has passed that its next receiver asks
	// for. Otherwise the lease that it was received with counts. Alike when all consumers of a group ask for the same.
	LeaseOfNext bool
	// AckAfterLease says that an acknowledgement counts although its lease ran out. Otherwise the message comes again.
	AckAfterLease bool
	// CreatesGroups says that a group comes into being when it first receives. Otherwise an operator creates it, and
	// Receive fails with ErrUnknownGroup before. Either way a new group begins with what its topic holds already.
	CreatesGroups bool
	// GivesUp says that the broker puts a message aside, into a dead-letter topic of its own, after the number of
	// attempts that its group is configured with. Configure far more than an outage can use up.
	GivesUp bool
	// DeadLetterPrefix begins the name of that topic; the name of the group follows. A Consumer reads it like any other. Empty
	// unless GivesUp.
	DeadLetterPrefix string
}
