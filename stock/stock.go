package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

const (
	// maxLoads is how often a reservation loads missing counters before it fails as unavailable.
	maxLoads = 3
	// loadBackoff is the time before a load is retried: about one batch of the flusher.
	loadBackoff = 50 * time.Millisecond
	// rolledBackTTL is how long a second release of an order is recognized as one (I6).
	rolledBackTTL = 24 * time.Hour
	// maxEpochWait bounds how long a step that must not be dropped waits for a new epoch to open, and for SQL to compare the order with.
	maxEpochWait = 5 * time.Second
)

// Store is SQL's record of the stock.
type Store interface {
	// Snapshot reads the open epoch and the SKUs' stock at its offset, in one consistent read.
	Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (journal.Epoch, map[order.SKU]int64, error)
	// OrderStatus reads the status of an order that may be further in SQL than in Redis: Cancelled when SQL has given its units back, else
	// the state of its row; Pending when it has neither.
	OrderStatus(ctx context.Context, id order.ID) (order.Status, error)
	// Bought reads what the customer, and the guests that the customer has claimed, have ordered: orders that are not CANCELLED, with from <= id < before,
	// oldest first.
	Bought(ctx context.Context, customer order.CustomerID, from, before order.ID) ([]order.Bought, error)
}

// Stock reserves, settles and releases. It is safe for concurrent use.
type Stock struct {
	keys    Keys
	conn    *redisconn.Conn
	epochs  *journal.Epochs
	store   Store
	sql     SQLMode
	limits  Limits
	breaker breaker.Breaker
	scripts scripts
	loads   *loader
	now     func() time.Time

	timeout   breaker.SharedTimeout // of calls to Redis
	soldOut   soldOutHints
	limitArgs limitArgs
	lastNames atomic.Pointer[epochNames]
	// loadEntries is maxLoadEntries, or fewer in tests; epochWait is maxEpochWait, or less in tests.
	loadEntries int
	epochWait   time.Duration

	reserves batcher[reserveCall]
	settles  batcher[settleCall]
	// reserveArgs and settleArgs belong to the run that is under way.
	reserveArgs, settleArgs scriptArgs
}

// New makes the authority for one partition.
func New(keys journal.Keys, conn *redisconn.Conn, epochs *journal.Epochs, store Store, limits Limits, b breaker.Breaker) *Stock {
	s := &Stock{
		keys: Keys{keys}, conn: conn, epochs: epochs, store: store, limits: limits, breaker: b,
		scripts: newScripts(), now: time.Now, limitArgs: newLimitArgs(limits), loadEntries: maxLoadEntries, epochWait: maxEpochWait,
	}
	s.loads = newLoader(s.loadCounters)
	s.reserves.run, s.settles.run = s.runReserves, s.runSettles
	return s
}

// refused makes the error of a reply that every script may return.
func (s *Stock) refused(reply []string) error {
	if reply[0] == "EPOCH" {
		s.epochs.RequestCheck()
		return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("redis was replaced; stock is being rebuilt: %w: %w", order.ErrUnavailable, errEpoch)}
	}
	return fmt.Errorf("unexpected reply %q of a stock script", reply[0])
}

// errEpoch means that a script saw another epoch.
var errEpoch = errors.New("another epoch is open")

// exec runs a script under the breaker. The outcome of a failed call is unknown if it was sent; every script may be retried.
func (s *Stock) exec(ctx context.Context, script *rueidis.Lua, keys, args []string) ([]string, error) {
	r, sent, err := s.run(ctx, script, keys, args)
	if !sent {
		return nil, err
	}
	reply, err := r.AsStrSlice()
	if err != nil {
		return nil, s.failed(err)
	}
	return reply, nil
}

// run runs a script under the breaker. err is the error of a Redis that did not work; sent is false if the breaker did not let the call through.
func (s *Stock) run(ctx context.Context, script *rueidis.Lua, keys, args []string) (r rueidis.RedisResult, sent bool, err error) {
	err = s.guard(ctx, func(ctx context.Context) error {
		sent, r = true, script.Exec(ctx, s.conn.Client(), keys, args)
		return r.NonRedisError()
	})
	return r, sent, err
}

// failed returns the error of a call that Redis did not carry out, as far as is known.
func (s *Stock) failed(err error) error {
	if errors.Is(err, redisconn.ErrInstance) {
		s.epochs.RequestCheck()
	}
	return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("redis: %w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, err)}
}

// guard runs f under the breaker of the hot path. f returns an error if Redis did not work; an error reply is none.
func (s *Stock) guard(ctx context.Context, f func(ctx context.Context) error) error {
	return breaker.DoDetached(ctx, s.breaker, &s.timeout, s.limits.Timeout, f)
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

// read runs one reading command under the breaker.
func (s *Stock) read(ctx context.Context, cmd rueidis.Completed) (r rueidis.RedisResult, err error) {
	err = s.guard(ctx, func(ctx context.Context) error {
		r = s.conn.Client().Do(ctx, cmd)
		return r.NonRedisError()
	})
	if err != nil {
		err = redisconn.Unavailable(err)
	}
	return r, err
}
