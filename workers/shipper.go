package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
)

// ShipConfig sets up a Shipper.
type ShipConfig struct {
	// Messages is how many messages one turn takes.
	Messages int
	// Concurrency is how many calls of the carrier are under way at most.
	Concurrency int
	// Lease is how long the messages stay this shipper's own.
	Lease time.Duration
	// Attempts is how often a message is tried before its orders that still fail become SHIP_FAILED.
	Attempts int
	// RowWait bounds how long a turn waits for the order writer to bring its orders to SQL.
	RowWait time.Duration
}

// DefaultShipConfig calls the carrier for at most 10 orders at once.
func DefaultShipConfig() ShipConfig {
	return ShipConfig{Messages: 4, Concurrency: 10, Lease: 60 * time.Second, Attempts: 5, RowWait: 5 * time.Second}
}

// ShipStore is what a Shipper needs of SQL, which decides what may be shipped.
type ShipStore interface {
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
	Ship(ctx context.Context, shipments []store.Shipment) (refused []order.ID, err error)
	MarkShipFailed(ctx context.Context, ids []order.ID) error
}

// Carrier takes parcels, each order once.
type Carrier interface {
	Ship(ctx context.Context, o order.Order) error
}

// Shipper hands paid orders to the carrier and writes shipments and states in batches.
type Shipper struct {
	cfg      ShipConfig
	consumer queue.Consumer
	store    ShipStore
	carrier  Carrier
	reader   reader
	announce announcing
	log      *slog.Logger
	now      func() time.Time
}

// NewShipper makes a shipper on the consumer of group "shipping".
func NewShipper(cfg ShipConfig, c queue.Consumer, st ShipStore, dead DeadLetters, carrier Carrier, log *slog.Logger) *Shipper {
	return &Shipper{
		cfg: cfg, consumer: c, store: st, carrier: carrier, now: time.Now,
		reader: reader{source: "shipper", dead: dead}, log: log.With("worker", "shipper"),
	}
}

// Run ships until ctx ends.
func (s *Shipper) Run(ctx context.Context) { loop(ctx, s.log, s.RunOnce) }

// RunOnce ships what one Receive brings and returns how many orders were shipped. Messages with an order that failed are
// not acknowledged: they come again when their lease ends, and what is shipped already is skipped then.
func (s *Shipper) RunOnce(ctx context.Context) (int, error) {
	messages, err := s.consumer.Receive(ctx, s.cfg.Messages, s.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	changes, err := s.reader.read(ctx, messages)
	if err != nil {
		return 0, err
	}
	due, err := s.due(ctx, paid(changes))
	if err != nil {
		return 0, err
	}
	shipped, failed := s.ship(ctx, due)
	if err := s.record(ctx, shipped); err != nil {
		return 0, err
	}
	if len(failed) > 0 && !s.exhausted(messages) {
		return 0, fmt.Errorf("the carrier did not take %d of %d orders; they are tried again", len(failed), len(due))
	}
	if err := s.giveUp(ctx, failed); err != nil {
		return 0, err
	}
	return len(shipped), s.consumer.Ack(ctx, messages...)
}

// due waits until SQL holds the orders as paid and returns those that are to be shipped. An order that is missing in SQL
// for long, or still pending there, fails the turn: its message comes again.
func (s *Shipper) due(ctx context.Context, orders []order.Order) ([]order.Order, error) {
	ids := make([]order.ID, len(orders))
	for i, o := range orders {
		ids[i] = o.ID
	}
	deadline := s.now().Add(s.cfg.RowWait)
	for pause := flushPoll; len(ids) > 0; pause = min(2*pause, 100*time.Millisecond) {
		states, err := s.store.States(ctx, ids)
		if err != nil {
			return nil, err
		}
		out, waiting := split(orders, states)
		if waiting == 0 {
			return out, nil
		}
		if s.now().After(deadline) || ctx.Err() != nil {
			return nil, fmt.Errorf("%d orders are not in SQL as paid after %s; is the order writer running?", waiting, s.cfg.RowWait)
		}
		sleep(ctx, pause)
	}
	return nil, nil
}

// split returns the orders that are to be shipped, and how many are not in SQL as paid yet. Shipped and cancelled ones are
// neither.
func split(orders []order.Order, states map[order.ID]order.State) (due []order.Order, waiting int) {
	for _, o := range orders {
		state, ok := states[o.ID]
		switch {
		case !ok, state == order.Pending:
			waiting++
		case state.CanBecome(order.Shipped):
			due = append(due, o)
		}
	}
	return due, waiting
}

// ship calls the carrier for all orders, at most Concurrency at once.
func (s *Shipper) ship(ctx context.Context, orders []order.Order) (shipped []store.Shipment, failed []order.ID) {
	var mu sync.Mutex
	each(ctx, s.cfg.Concurrency, orders, func(o order.Order) {
		err := s.carrier.Ship(ctx, o)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = append(failed, o.ID)
			s.log.WarnContext(ctx, "the carrier did not take an order", "order", o.ID, "error", err)
			return
		}
		shipped = append(shipped, store.Shipment{OrderID: o.ID, TrackingID: o.TrackingID, ShippedAt: s.now().UTC()})
	})
	return shipped, failed
}

func (s *Shipper) record(ctx context.Context, shipped []store.Shipment) error {
	if len(shipped) == 0 {
		return nil
	}
	refused, err := s.store.Ship(ctx, shipped)
	if err != nil {
		return err
	}
	for _, id := range refused {
		s.log.WarnContext(ctx, "an order was handed to the carrier, but its state no longer allows it", "order", id)
	}
	ids := make([]order.ID, len(shipped))
	for i, parcel := range shipped {
		ids[i] = parcel.OrderID
	}
	s.announce.became(ctx, order.Shipped, ids)
	return nil
}

func (s *Shipper) exhausted(messages []queue.Message) bool {
	for _, m := range messages {
		if m.Attempt < s.cfg.Attempts {
			return false
		}
	}
	return true
}

func (s *Shipper) giveUp(ctx context.Context, ids []order.ID) error {
	if len(ids) == 0 {
		return nil
	}
	s.log.ErrorContext(ctx, "orders could not be shipped", "orders", len(ids), "attempts", s.cfg.Attempts)
	if err := s.store.MarkShipFailed(ctx, ids); err != nil {
		return err
	}
	s.announce.became(ctx, order.ShipFailed, ids)
	return nil
}
