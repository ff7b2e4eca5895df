package workers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/tracing"
)

// ShipConfig sets up a Shipper.
type ShipConfig struct {
	// Messages is how many messages one iteration takes.
	Messages int
	// Lease is how long the messages are leased: longer than shipping their orders takes.
	Lease time.Duration
	// MaxDeliveries is how often a message is delivered while orders of it are not PAID in SQL or were not offered. Then it is acknowledged,
	// and the ship rescuer, which reads SQL, finds the orders.
	MaxDeliveries int
	// RowWait bounds how long an iteration waits for the order writer to write its orders to SQL.
	RowWait time.Duration
	// Shipping bounds the calls of the carrier.
	Shipping ShippingConfig
}

// DefaultShipConfig calls the carrier for at most 10 orders at once.
func DefaultShipConfig() ShipConfig {
	return ShipConfig{Messages: 4, Lease: 60 * time.Second, MaxDeliveries: 5, RowWait: 5 * time.Second, Shipping: DefaultShippingConfig()}
}

// minRowPollInterval and maxRowPollInterval bound the time between two reads of the orders' states while the shipper waits for their rows. The
// writer gets a message at the same time as the shipper, and takes 5 ms for a few orders and 50 ms for a batch.
const (
	minRowPollInterval = 5 * time.Millisecond
	maxRowPollInterval = 100 * time.Millisecond
)

// Shipper ships paid orders with the carrier, and writes shipments and states in batches. All workers of a process share a CarrierLimiter
// of 10 calls at once. An order that the carrier declines becomes SHIP_FAILED, and the ShipRescuer retries it.
type Shipper struct {
	cfg      ShipConfig
	consumer *leases
	shipping *shipping
	reader   reader
	log      *slog.Logger
	pace     Pace
}

// NewShipper makes a shipper on the consumer of group "shipping".
func NewShipper(cfg ShipConfig, c queue.Consumer, st ShipStore, dead DeadLetters, carrier ShippingClient, log *slog.Logger) *Shipper {
	log = log.With("worker", "shipper")
	return &Shipper{
		cfg: cfg, consumer: &leases{Consumer: c}, log: log, reader: reader{source: "shipper", dead: dead, paidOnly: true},
		shipping: &shipping{cfg: cfg.Shipping, store: st, carrier: limiterOf(cfg.Shipping.Concurrency, carrier), log: log, now: time.Now},
	}
}

// WithPace sets when iterations begin. It is called before Run.
func (s *Shipper) WithPace(p Pace) *Shipper {
	s.pace = p
	return s
}

// Run ships until ctx ends. It releases the messages with orders that were not offered then.
func (s *Shipper) Run(ctx context.Context) {
	defer s.consumer.releaseHeld(ctx, s.log)
	loop(ctx, s.log, s.pace.paced(s.cfg.Shipping.Batch, s.RunOnce))
}

// RunOnce ships the orders of one Receive and returns how many were shipped. An order that the carrier did not take becomes SHIP_FAILED.
// A message with orders that are not PAID in SQL or were not offered is not acknowledged and is delivered again when its lease ends;
// orders that are SHIPPED, SHIP_FAILED or CANCELLED by then are skipped.
func (s *Shipper) RunOnce(ctx context.Context) (n int, err error) {
	messages, err := s.consumer.Receive(ctx, s.cfg.Messages, s.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	ctx, span := queue.Process(ctx, messages)
	defer func() { tracing.End(span, err) }()
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
		return 0, fmt.Errorf("%d orders are not PAID in SQL after %s; is the order writer running?", len(waiting), s.cfg.RowWait)
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

// due waits until the orders are PAID in SQL. It returns those to be shipped, and those that are still waiting after RowWait. It reads again only
// the states of those that wait; whether another one may still be shipped is decided when it is claimed.
func (s *Shipper) due(ctx context.Context, orders []order.Order) (due []order.Order, waiting []order.ID, err error) {
	if len(orders) == 0 {
		return nil, nil, nil
	}
	deadline := s.shipping.now().Add(s.cfg.RowWait)
	for interval := minRowPollInterval; ; interval = min(2*interval, maxRowPollInterval) {
		states, err := s.shipping.store.States(ctx, orderIDs(orders))
		if err != nil {
			return nil, nil, err
		}
		paid, rest := split(orders, states)
		due, orders, waiting = append(due, paid...), rest, orderIDs(rest)
		if len(waiting) == 0 || s.shipping.now().After(deadline) {
			return due, waiting, nil
		}
		if sleep(ctx, interval); ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
	}
}

// split returns the orders to be shipped, and those that are not PAID in SQL yet. Shipped and cancelled orders are in neither list.
func split(orders []order.Order, states map[order.ID]order.State) (due, waiting []order.Order) {
	for _, o := range orders {
		state, ok := states[o.ID]
		switch {
		case !ok, state == order.Pending:
			waiting = append(waiting, o)
		case state == order.Paid:
			due = append(due, o)
		}
	}
	return due, waiting
}

// ack acknowledges the messages without open orders, and those that were delivered ShipConfig.MaxDeliveries times.
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
		if n > 0 && m.Attempt < s.cfg.MaxDeliveries {
			continue
		}
		if n > 0 {
			s.log.ErrorContext(ctx, "orders of a message were not shipped; the ship rescuer retries them", "orders", n, "attempts", m.Attempt)
		}
		done = append(done, m)
	}
	if len(done) == 0 {
		return nil
	}
	return s.consumer.Ack(ctx, done...)
}
