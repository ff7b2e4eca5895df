package queue

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"
)

// ShopHeader is the header with the identity of a message's shop.
const ShopHeader = "spillway-shop"

// ForShop returns a Broker that adds the shop's identity to every sent message and delivers only messages of this shop.
// Messages of other shops, or without an identity, are acknowledged, logged and counted. Identities are printable
// ASCII.
//
// Two shops that share a topic and its groups take each other's messages. No order is lost, because the queue is only a
// wake-up and each shop repairs missing messages, but orders are late: set a different topic for each shop.
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

// Send implements Producer. It does not change the caller's headers.
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

// Receive implements Consumer. It returns none when all received messages were foreign.
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
		return own, nil // The others are redelivered.
	}
	c.foreign.report(ctx, c.topic, c.group, others)
	return own, nil
}
