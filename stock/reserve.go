package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Request is one order to be reserved.
type Request struct {
	OrderID  order.ID
	Customer order.CustomerID
	// Key is the idempotency key, Fingerprint a digest of the request that it was sent with (I4).
	Key         string
	Fingerprint []byte
	Demand      []order.Demand
	// Snapshot is the marshalled order.
	Snapshot []byte
	// MaxUnits is how many units of a SKU the customer may have; a SKU that is not in it has no limit.
	MaxUnits map[order.SKU]int
	// PayLater is set when the order is placed without a card, and so subject to the limits of unpaid orders.
	PayLater bool
	// Trace is the W3C trace context of the request, or empty; see package tracing.
	Trace string
	// SkippedSQL is set when the key was not looked up in SQL, because IdempotencyRecordsMayBeLost returned false.
	SkippedSQL bool
	// Epoch is the epoch in which the same request was sent before, with an unknown outcome; otherwise 0. Reserve fails in any other epoch:
	// the units that it took may be in SQL already, and would be taken twice for one order.
	Epoch int64
}

// Reservation is the result of a request.
type Reservation struct {
	// Replay is the order that was made with the key before; empty when this request made its own.
	Replay order.ID
	// Offset is the reservation's offset in the journal; not set for a replay. With an unknown outcome only its epoch is set.
	Offset journal.Offset
}

// Reserve takes the stock of all lines, or of none. It returns a *order.SoldOutError with the SKUs that are short, order.ErrKeyReused if the
// key was used for another request, order.ErrNotFound if a SKU is unknown, a *order.LimitError at a limit, and a *order.RetryError if a retry
// may succeed. order.ErrUnknownOutcome means that the call to Redis failed half-way: a retry with the same OrderID, and the Epoch that it
// returns, is safe.
//
// A request for SKUs that were all sold out up to soldOutAge ago gets the same *order.SoldOutError without the script, unless its key made an order.
func (s *Stock) Reserve(ctx context.Context, r Request) (Reservation, error) {
	for range maxLoads {
		epoch, err := s.epochs.Current()
		if err != nil {
			return Reservation{}, err
		}
		if r.Epoch != 0 && r.Epoch != epoch.Number || r.SkippedSQL && s.recordsMayBeLost(epoch) {
			return Reservation{}, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("redis was replaced meanwhile: %w", order.ErrUnavailable)}
		}
		if epoch.Mode == journal.ModeSQL {
			res, err := s.sql.Reserve(ctx, epoch, r)
			return res, s.checked(err)
		}
		if res, decided, err := s.refuseSoldOut(ctx, epoch.Number, r); decided {
			return res, err
		}
		if err := s.countBought(ctx, epoch, r); err != nil {
			return Reservation{}, err
		}
		names, began, changes := s.names(epoch), s.now(), s.soldOut.changes.Load()
		reply, err := inBatch(ctx, s, &s.reserves, reserveCall{names, r})
		if err != nil {
			return Reservation{Offset: journal.Offset{Epoch: epoch.Number}}, err
		}
		if reply[0] != "LOAD" {
			if reply[0] == "SOLD_OUT" {
				s.soldOut.remember(epoch.Number, shortages(reply[1:]), changes, began)
			}
			return s.reserved(epoch, reply)
		}
		if err := s.load(ctx, skus(reply[1:])); err != nil && !errors.Is(err, errNotYet) {
			return Reservation{}, err
		}
	}
	return Reservation{}, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("stock counters are still being loaded: %w", order.ErrUnavailable)}
}

func (s *Stock) reserved(epoch journal.Epoch, reply []string) (Reservation, error) {
	switch reply[0] {
	case "OK":
		return Reservation{Offset: journal.Offset{Epoch: epoch.Number, ID: reply[1]}}, nil
	case "REPLAY":
		return Reservation{Replay: order.ID(reply[1])}, nil
	case "MISMATCH":
		return Reservation{}, order.KeyReused(order.ID(reply[1]))
	case "CLAIMED":
		return Reservation{}, order.GuestClaimed()
	case "BUSY":
		return Reservation{}, &order.RetryError{After: redisconn.RetryAfter, Err: order.Refuse(order.ErrOverloaded, order.ReasonJournalFull, "the journal is full")}
	case "LIMIT", "UNITS", "UNPAID":
		return Reservation{}, s.limited(reply)
	case "SOLD_OUT":
		return Reservation{}, &order.SoldOutError{Shortages: shortages(reply[1:])}
	case "INVALID":
		return Reservation{}, fmt.Errorf("a quantity is not 1 to %d: %w", order.MaxQuantity, order.ErrInvalid)
	}
	return Reservation{}, s.refused(reply)
}

// shortages reads the triples of SKU, requested and left units.
func shortages(triples []string) []order.Shortage {
	out := make([]order.Shortage, 0, len(triples)/3)
	for i := 0; i+2 < len(triples); i += 3 {
		want, _ := strconv.ParseInt(triples[i+1], 10, 64)
		left, _ := strconv.ParseInt(triples[i+2], 10, 64)
		out = append(out, order.Shortage{SKU: order.SKU(triples[i]), Requested: want, Available: left})
	}
	return out
}

// formatDemand is the form in which the scripts read an order's lines.
func formatDemand(demand []order.Demand) string {
	deltas := make([]order.Delta, len(demand))
	for i, d := range demand {
		deltas[i] = order.Delta{SKU: d.SKU, Units: int64(d.Quantity)}
	}
	return order.FormatDeltas(deltas)
}
