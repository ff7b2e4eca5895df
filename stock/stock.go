package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/sync/singleflight"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Limits are the bounds of the hot path.
type Limits struct {
	// JournalMax is how many entries a journal may hold before reservations are refused with order.ErrOverloaded.
	JournalMax int
	// CustomerOrders is how many orders a customer may place in one RateWindow; 0 is no limit.
	CustomerOrders int
	// RateWindow is the window of CustomerOrders; whole seconds.
	RateWindow time.Duration
	// UnitsWindow is how long the units that a customer ordered count towards a product's limit for each customer; whole seconds. 0 means
	// that the limit is one of each order.
	UnitsWindow time.Duration
	// UnpaidOrders is how many unpaid orders a customer may have, UnpaidTotal how many there may be in all, and UnpaidPercent how much of
	// the units of a SKU that are not sold unpaid orders may hold; 0 is no limit.
	UnpaidOrders, UnpaidTotal, UnpaidPercent int
	// UnpaidTTL is after how long it is checked whether an unpaid order is still PENDING: longer than it may be paid. One that is not, or that
	// Redis has lost, is no longer counted.
	UnpaidTTL time.Duration
	// IdempotencyTTL is how long a retry meets its order by the idempotency key in Redis; whole seconds.
	IdempotencyTTL time.Duration
	// RecordTTL is how long the record of an order stays in Redis once its state is in SQL; whole seconds.
	RecordTTL time.Duration
	// Timeout bounds one call to Redis.
	Timeout time.Duration
}

// DefaultLimits fit a Redis with 1 GiB: 200,000 entries of about 700 bytes are 140 MB.
func DefaultLimits() Limits {
	return Limits{
		JournalMax: 200_000, CustomerOrders: 300, RateWindow: time.Minute, IdempotencyTTL: 24 * time.Hour,
		RecordTTL: time.Minute, Timeout: time.Second,
		// An unpaid order takes 7 kB in Redis: 10,000 are 70 MB.
		UnitsWindow: 24 * time.Hour, UnpaidOrders: 2, UnpaidTotal: 10_000, UnpaidPercent: 10, UnpaidTTL: 20 * time.Minute,
	}
}

const (
	// loadTries is how often a reservation loads missing counters before it gives up as unavailable.
	loadTries = 3
	// loadEntriesMax is how far the flusher may be behind for a counter to be loaded, in journal entries: reading
	// them holds Redis up for about 10 ms.
	loadEntriesMax = 10_000
	// loadWait is the pause before a load is tried again: about one batch of the flusher.
	loadWait = 50 * time.Millisecond
	// rolledBackTTL is how long a second release of an order is known to be one (I6).
	rolledBackTTL = 24 * time.Hour
	// epochWait bounds how long a step that must not be dropped waits for a new epoch to open.
	epochWait = 5 * time.Second
)

// Store is SQL's record of the stock.
type Store interface {
	// Snapshot reads the open epoch and the SKUs' stock at its offset, in one consistent read.
	Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (journal.Epoch, map[order.SKU]int64, error)
	// OrderStatus reads the status of an order that may be further in SQL than in Redis: Cancelled when SQL has given its units back, else
	// the state of its row; Pending when it has neither.
	OrderStatus(ctx context.Context, id order.ID) (order.Status, error)
}

// Stock reserves, settles and releases. It is safe for concurrent use.
type Stock struct {
	keys    Keys
	conn    *redisconn.Conn
	epochs  *journal.Epochs
	store   Store
	limits  Limits
	breaker breaker.Breaker
	scripts scripts
	loads   singleflight.Group
	now     func() time.Time
}

// New makes the authority for one partition.
func New(keys journal.Keys, conn *redisconn.Conn, epochs *journal.Epochs, store Store, limits Limits, b breaker.Breaker) *Stock {
	return &Stock{
		keys: Keys{keys}, conn: conn, epochs: epochs, store: store, limits: limits, breaker: b,
		scripts: newScripts(), now: time.Now,
	}
}

// Request is one order to be reserved.
type Request struct {
	OrderID  order.ID
	Customer order.CustomerID
	// Key and Fingerprint are the idempotency key and what it stands for (I4).
	Key         string
	Fingerprint []byte
	Demand      []order.Demand
	// Snapshot is the marshalled order.
	Snapshot []byte
	// MaxUnits is how many units of a SKU the customer may have; a SKU that is not in it has no limit.
	MaxUnits map[order.SKU]int
	// PayLater says that the order is placed without a card, and so subject to the limits of unpaid orders.
	PayLater bool
	// Trace is the W3C traceparent, or empty.
	Trace string
	// SkippedSQL says that the key was not looked up in SQL, because IdempotencyRecordsMayBeLost said that this is not needed.
	SkippedSQL bool
	// Epoch is where the same request was sent before, with an unknown outcome; otherwise 0. It is reserved in no other: what it took there
	// may be in SQL already, and would be taken for one order twice.
	Epoch int64
}

// Reservation is what came of a request.
type Reservation struct {
	// Replay is the order that the key made before; empty when this request made its own.
	Replay order.ID
	// Offset is the reservation's offset in the journal; not set for a replay. With an unknown outcome only its epoch is set.
	Offset journal.Offset
}

// Reserve takes the stock of all lines, or of none. A *order.SoldOutError says which SKUs fell short;
// order.ErrKeyReused that the key stands for another request; order.ErrNotFound that a SKU is unknown; a
// *order.RetryError that it is worth trying again. order.ErrUnknownOutcome means that Redis broke off: calling again
// with the same OrderID, and the Epoch that it returns, is safe.
func (s *Stock) Reserve(ctx context.Context, r Request) (Reservation, error) {
	for range loadTries {
		epoch, err := s.epochs.Current()
		if err != nil {
			return Reservation{}, err
		}
		if r.Epoch != 0 && r.Epoch != epoch.Number || r.SkippedSQL && s.recordsMayBeLost(epoch) {
			return Reservation{}, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("redis changed meanwhile: %w", order.ErrUnavailable)}
		}
		reply, err := s.exec(ctx, s.scripts.reserve, s.reserveKeys(epoch.Number, r), s.reserveArgs(epoch, r))
		if err != nil {
			return Reservation{Offset: journal.Offset{Epoch: epoch.Number}}, err
		}
		if reply[0] != "LOAD" {
			return s.reserved(epoch, reply)
		}
		if err := s.load(ctx, skus(reply[1:])); err != nil && !errors.Is(err, errNotYet) {
			return Reservation{}, err
		}
	}
	return Reservation{}, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("stock counters are still being loaded: %w", order.ErrUnavailable)}
}

func (s *Stock) reserveKeys(epoch int64, r Request) []string {
	unpaid := s.keys.Unpaid()
	return []string{
		s.keys.Epoch(), s.keys.Journal(epoch), s.keys.Stock(epoch), s.keys.Order(r.OrderID),
		s.keys.Idempotency(r.Customer, r.Key), s.keys.Rate(r.Customer), s.keys.Bought(r.Customer), unpaid[0], unpaid[1], unpaid[2],
	}
}

func (s *Stock) reserveArgs(epoch journal.Epoch, r Request) []string {
	return []string{
		strconv.FormatInt(epoch.Number, 10), string(r.OrderID), rueidis.BinaryString(r.Fingerprint), formatDemand(r.Demand),
		rueidis.BinaryString(r.Snapshot), s.nowMS(), seconds(s.limits.IdempotencyTTL), strconv.Itoa(s.limits.JournalMax),
		strconv.Itoa(s.limits.CustomerOrders), seconds(s.limits.RateWindow), strconv.Itoa(order.MaxQuantity), r.Trace,
		redisconn.ReplicationID(epoch.Instance), string(r.Customer), formatMaxUnits(r.MaxUnits), seconds(s.limits.UnitsWindow), flag(r.PayLater),
		s.unpaidUntil(), strconv.Itoa(s.limits.UnpaidOrders), strconv.Itoa(s.limits.UnpaidPercent), strconv.Itoa(s.limits.UnpaidTotal),
	}
}

func (s *Stock) reserved(epoch journal.Epoch, reply []string) (Reservation, error) {
	switch reply[0] {
	case "OK":
		return Reservation{Offset: journal.Offset{Epoch: epoch.Number, ID: reply[1]}}, nil
	case "REPLAY":
		return Reservation{Replay: order.ID(reply[1])}, nil
	case "MISMATCH":
		return Reservation{}, order.ErrKeyReused
	case "BUSY":
		return Reservation{}, &order.RetryError{After: redisconn.RetryAfter, Err: order.Refuse(order.ErrOverloaded, order.ReasonJournalFull, "the journal is full")}
	case "LIMIT", "UNITS", "UNPAID":
		return Reservation{}, s.limited(reply)
	case "SOLD_OUT":
		return Reservation{}, soldOut(reply[1:])
	case "INVALID":
		return Reservation{}, fmt.Errorf("a quantity is not 1 to %d: %w", order.MaxQuantity, order.ErrInvalid)
	}
	return Reservation{}, s.refused(reply)
}

// refused handles the answers that every script may give.
func (s *Stock) refused(reply []string) error {
	if reply[0] == "EPOCH" {
		s.epochs.RequestCheck()
		return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("redis changed; stock is being rebuilt: %w: %w", order.ErrUnavailable, errEpoch)}
	}
	return fmt.Errorf("unexpected answer %q of a stock script", reply[0])
}

// errEpoch marks the answer of a script that saw another epoch.
var errEpoch = errors.New("another epoch is open")

func soldOut(triples []string) error {
	e := &order.SoldOutError{}
	for i := 0; i+2 < len(triples); i += 3 {
		want, _ := strconv.ParseInt(triples[i+1], 10, 64)
		left, _ := strconv.ParseInt(triples[i+2], 10, 64)
		e.Shortages = append(e.Shortages, order.Shortage{SKU: order.SKU(triples[i]), Requested: want, Available: left})
	}
	return e
}

// exec runs a script under the breaker. A failed call's outcome is unknown if it was sent; every script may be called again.
func (s *Stock) exec(ctx context.Context, script *rueidis.Lua, keys, args []string) ([]string, error) {
	var r rueidis.RedisResult
	sent := false
	err := s.guard(ctx, func(ctx context.Context) error {
		sent, r = true, script.Exec(ctx, s.conn.Client(), keys, args)
		return r.NonRedisError()
	})
	if !sent {
		return nil, err
	}
	reply, err := r.AsStrSlice()
	if err != nil {
		if errors.Is(err, redisconn.ErrInstance) {
			s.epochs.RequestCheck()
		}
		return nil, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("redis: %w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, err)}
	}
	return reply, nil
}

// guard runs f under the breaker of the hot path. f returns whether Redis worked, not what it answered.
func (s *Stock) guard(ctx context.Context, f func(ctx context.Context) error) error {
	return breaker.DoDetached(ctx, s.breaker, s.limits.Timeout, f)
}

func (s *Stock) nowMS() string { return strconv.FormatInt(s.now().UnixMilli(), 10) }

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func skus(names []string) []order.SKU {
	out := make([]order.SKU, len(names))
	for i, n := range names {
		out[i] = order.SKU(n)
	}
	return out
}

// IdempotencyRecordsMayBeLost says that idempotency records younger than their TTL may be missing in Redis, because it lost data less than
// that TTL ago. Then SQL has to be read. A restart on a complete append-only file loses none.
func (s *Stock) IdempotencyRecordsMayBeLost() bool {
	epoch, err := s.epochs.Current()
	return err == nil && s.recordsMayBeLost(epoch)
}

func (s *Stock) recordsMayBeLost(epoch journal.Epoch) bool {
	return !epoch.RecordsLostAt.IsZero() && s.now().Sub(epoch.RecordsLostAt) < s.limits.IdempotencyTTL
}

// formatDemand is the form in which the scripts read an order's lines.
func formatDemand(demand []order.Demand) string {
	deltas := make([]order.Delta, len(demand))
	for i, d := range demand {
		deltas[i] = order.Delta{SKU: d.SKU, Units: int64(d.Quantity)}
	}
	return order.FormatDeltas(deltas)
}
