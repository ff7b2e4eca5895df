package workers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
)

// ShipConfig sets up a Shipper.
type ShipConfig struct {
	// Messages is how many messages one turn takes.
	Messages int
	// Lease is how long the messages stay this shipper's own.
	Lease time.Duration
	// Attempts is how often a message is taken whose orders are not all in SQL as paid, or were not all offered. Then the ship
	// rescuer, which reads SQL, is left to find them.
	Attempts int
	// RowWait bounds how long a turn waits for the order writer to bring its orders to SQL.
	RowWait time.Duration
	// Shipping is how orders are handed over.
	Shipping ShippingConfig
}

// DefaultShipConfig calls the carrier for at most 10 orders at once.
func DefaultShipConfig() ShipConfig {
	return ShipConfig{Messages: 4, Lease: 60 * time.Second, Attempts: 5, RowWait: 5 * time.Second, Shipping: DefaultShippingConfig()}
}

// Shipper hands paid orders to the carrier and writes shipments and states in batches.
type Shipper struct {
	cfg      ShipConfig
	consumer queue.Consumer
	shipping *shipping
	reader   reader
	log      *slog.Logger
}

// NewShipper makes a shipper on the consumer of group "shipping".
func NewShipper(cfg ShipConfig, c queue.Consumer, st ShipStore, dead DeadLetters, carrier ShippingClient, log *slog.Logger) *Shipper {
	log = log.With("worker", "shipper")
	return &Shipper{
		cfg: cfg, consumer: c, log: log, reader: reader{source: "shipper", dead: dead},
		shipping: &shipping{cfg: cfg.Shipping, store: st, carrier: carrier, log: log, now: time.Now},
	}
}

// Run ships until ctx ends.
func (s *Shipper) Run(ctx context.Context) { loop(ctx, s.log, s.RunOnce) }

// RunOnce ships what one Receive brings and returns how many orders were shipped. An order that the carrier did not take becomes
// SHIP_FAILED and is the ship rescuer's. A message is not acknowledged, and comes again when its lease ends, while orders of it are
// not in SQL as paid or were not offered; what is decided already is skipped then.
func (s *Shipper) RunOnce(ctx context.Context) (int, error) {
	messages, err := s.consumer.Receive(ctx, s.cfg.Messages, s.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	orders, err := s.read(ctx, messages)
	if err != nil {
		return 0, err
	}
	due, waiting, err := s.due(ctx, distinct(orders))
	if err != nil {
		return 0, err
	}
	shipped, left, err := s.shipping.ship(ctx, due)
	if err != nil {
		return 0, err
	}
	if err := s.ack(context.WithoutCancel(ctx), messages, orders, append(left, waiting...)); err != nil {
		return 0, err
	}
	if len(waiting) > 0 {
		return 0, fmt.Errorf("%d orders are not in SQL as paid after %s; is the order writer running?", len(waiting), s.cfg.RowWait)
	}
	return shipped, nil
}

// read returns the paid orders of each message.
func (s *Shipper) read(ctx context.Context, messages []queue.Message) ([][]order.Order, error) {
	out := make([][]order.Order, len(messages))
	for i, m := range messages {
		changes, err := s.reader.read(ctx, []queue.Message{m})
		if err != nil {
			return nil, err
		}
		out[i] = paid(changes)
	}
	return out, nil
}

func distinct(lists [][]order.Order) []order.Order {
	seen := make(map[order.ID]bool)
	var out []order.Order
	for _, list := range lists {
		for _, o := range list {
			if !seen[o.ID] {
				seen[o.ID] = true
				out = append(out, o)
			}
		}
	}
	return out
}

// due waits until SQL holds the orders as paid and returns those that are to be shipped, and those that it waited for in vain.
func (s *Shipper) due(ctx context.Context, orders []order.Order) (due []order.Order, waiting []order.ID, err error) {
	if len(orders) == 0 {
		return nil, nil, nil
	}
	deadline := s.shipping.now().Add(s.cfg.RowWait)
	for pause := flushPollInterval; ; pause = min(2*pause, 100*time.Millisecond) {
		states, err := s.shipping.store.States(ctx, orderIDs(orders))
		if err != nil {
			return nil, nil, err
		}
		due, waiting = split(orders, states)
		if len(waiting) == 0 || s.shipping.now().After(deadline) {
			return due, waiting, nil
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
	}
}

// split returns the orders that are to be shipped, and those that are not in SQL as paid yet. Shipped and cancelled ones are
// neither.
func split(orders []order.Order, states map[order.ID]order.State) (due []order.Order, waiting []order.ID) {
	for _, o := range orders {
		state, ok := states[o.ID]
		switch {
		case !ok, state == order.Pending:
			waiting = append(waiting, o.ID)
		case state == order.Paid:
			due = append(due, o)
		}
	}
	return due, waiting
}

// ack acknowledges the messages without open orders, and those that were tried often enough.
func (s *Shipper) ack(ctx context.Context, messages []queue.Message, orders [][]order.Order, open []order.ID) error {
	isOpen := make(map[order.ID]bool, len(open))
	for _, id := range open {
		isOpen[id] = true
	}
	var done []queue.Message
	for i, m := range messages {
		n := 0
		for _, o := range orders[i] {
			if isOpen[o.ID] {
				n++
			}
		}
		if n > 0 && m.Attempt < s.cfg.Attempts {
			continue
		}
		if n > 0 {
			s.log.ErrorContext(ctx, "orders of a message could not be shipped; the ship rescuer goes on", "orders", n, "attempts", m.Attempt)
		}
		done = append(done, m)
	}
	if len(done) == 0 {
		return nil
	}
	return s.consumer.Ack(ctx, done...)
}
