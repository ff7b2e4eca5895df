package queue

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"
)

// ShopHeader is the header that names the shop of a message.
const ShopHeader = "spillway-shop"

// ForShop puts the shop's identity on every message that is sent, and keeps the messages of other shops from being received: they are
// acknowledged, logged and counted. A message without an identity is treated like that of another shop. Identities are printable ASCII.
//
// Two shops that share a topic and its groups take each other's messages. That costs no order, because the queue is a wake-up only and
// each shop repairs what it misses, but it makes orders late: give each shop a topic of its own.
func ForShop(b Broker, shop string, log *slog.Logger) (Broker, error) {
	foreign, err := newForeign(shop, log, time.Now)
	if err != nil {
		return nil, err
	}
	return &shopBroker{Broker: b, shop: shop, foreign: foreign}, nil
}

type shopBroker struct {
	Broker
	shop    string
	foreign *foreign
}

// Producer implements Broker.
func (b *shopBroker) Producer() (Producer, error) {
	p, err := b.Broker.Producer()
	if err != nil {
		return nil, err
	}
	return shopProducer{p, b.shop}, nil
}

// Consumer implements Broker.
func (b *shopBroker) Consumer(topic, group string) (Consumer, error) {
	c, err := b.Broker.Consumer(topic, group)
	if err != nil {
		return nil, err
	}
	return shopConsumer{Consumer: c, shop: b.shop, topic: topic, group: group, foreign: b.foreign}, nil
}

type shopProducer struct {
	Producer
	shop string
}

// Send implements Producer. The caller's headers stay as they are.
func (p shopProducer) Send(ctx context.Context, topic string, messages ...Outgoing) error {
	named := make([]Outgoing, len(messages))
	for i, m := range messages {
		headers := make(map[string]string, len(m.Headers)+1)
		maps.Copy(headers, m.Headers)
		headers[ShopHeader] = p.shop
		named[i] = Outgoing{Body: m.Body, Headers: headers}
	}
	return p.Producer.Send(ctx, topic, named...)
}

type shopConsumer struct {
	Consumer
	shop, topic, group string
	foreign            *foreign
}

// Receive implements Consumer. It returns none when all messages that came were foreign.
func (c shopConsumer) Receive(ctx context.Context, max int, lease time.Duration) ([]Message, error) {
	messages, err := c.Consumer.Receive(ctx, max, lease)
	if err != nil {
		return nil, err
	}
	var own, others []Message
	for _, m := range messages {
		if m.Headers[ShopHeader] == c.shop {
			own = append(own, m)
		} else {
			others = append(others, m)
		}
	}
	if len(others) == 0 {
		return own, nil
	}
	if err := c.Ack(ctx, others...); err != nil {
		if len(own) == 0 {
			return nil, fmt.Errorf("acknowledge the messages of other shops: %w", err)
		}
		return own, nil // The others come again.
	}
	c.foreign.report(ctx, c.topic, c.group, others)
	return own, nil
}
