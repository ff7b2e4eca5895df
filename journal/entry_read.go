package journal

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

const (
	// maxAdjustedUnits is the largest change that AdjustStock accepts, in units.
	maxAdjustedUnits = 1_000_000_000
	// maxSnapshotBytes bounds one order. The largest one that the API accepts, of 100 lines, has about 60 kB; a message of the queue
	// holds 4 MiB.
	maxSnapshotBytes = 1 << 20
	// maxTextBytes bounds the free text of an entry, in bytes: the API accepts 200 characters, SQL keeps 255.
	maxTextBytes = 1024
	// timeLimitMS is the first time that is out of range, in milliseconds since 1970: the year 5138. SQL's range ends in the year 9999.
	timeLimitMS = 100_000_000_000_000
)

// adjustmentPattern is what the API accepts as an adjustment's id, skuPattern what it accepts as a SKU.
var (
	adjustmentPattern = regexp.MustCompile(`^[[:graph:]]{1,128}$`)
	skuPattern        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
)

// unitLimits are the smallest and the largest delta of each kind of entry that has deltas.
var unitLimits = map[Kind]struct{ lowest, highest int64 }{
	Reserved: {-order.MaxQuantity, -1}, Released: {1, order.MaxQuantity}, Restocked: {1, order.MaxQuantity},
	Adjusted: {-maxAdjustedUnits, maxAdjustedUnits},
}

// parseEntry parses an entry and rejects what no script writes, so that readers of the journal need not handle it. stock/lua/load.lua has
// the same rules: SQL's stock must not change by an entry that a counter leaves out, nor the reverse. Free text, which decides nothing, is
// cleaned instead: an order must not be lost for a bad byte in its reason.
func parseEntry(x rueidis.XRangeEntry) (Entry, error) {
	e, err := readFields(x.FieldValues)
	e.ID = x.ID
	if err == nil {
		err = e.check()
	}
	if err != nil {
		return e, fmt.Errorf("journal entry %s: %w", x.ID, err)
	}
	return e, nil
}

func readFields(f map[string]string) (Entry, error) {
	e := Entry{
		Kind: Kind(f["kind"]), Snapshot: []byte(f["snapshot"]),
		Detail: CleanText(f["detail"]), Actor: CleanText(f["actor"]), Trace: CleanText(f["trace"]),
	}
	switch e.Kind {
	case Reserved, Settled, Released, Restocked:
		e.OrderID = order.ID(f["order"])
	case Adjusted:
		e.AdjustmentID = f["order"]
	default:
		return e, fmt.Errorf("unknown kind %q", shorten(f["kind"]))
	}
	ms, err := strconv.ParseInt(f["time"], 10, 64)
	if err != nil || ms < 0 || ms >= timeLimitMS {
		return e, fmt.Errorf("the time %q is not in milliseconds since 1970", shorten(f["time"]))
	}
	e.Time = time.UnixMilli(ms).UTC()
	if e.Deltas, err = order.ParseDeltas(f["deltas"]); err == nil && order.FormatDeltas(e.Deltas) != f["deltas"] {
		err = fmt.Errorf("the deltas %q are not SKU:UNITS pairs with commas between them", shorten(f["deltas"]))
	}
	return e, err
}

// check returns an error for an entry that no script writes.
func (e Entry) check() error {
	if len(e.Snapshot) > maxSnapshotBytes {
		return fmt.Errorf("the snapshot has %d bytes, more than %d", len(e.Snapshot), maxSnapshotBytes)
	}
	if e.Kind == Adjusted {
		if !adjustmentPattern.MatchString(e.AdjustmentID) {
			return fmt.Errorf("the adjustment id %q is not 1 to 128 visible ASCII characters", shorten(e.AdjustmentID))
		}
	} else if _, err := order.ParseID(string(e.OrderID)); err != nil {
		return fmt.Errorf("the order %q: %s", shorten(string(e.OrderID)), err) //nolint:errorlint // It must not look like an order that was not found.
	}
	if err := e.checkCount(); err != nil {
		return err
	}
	for _, d := range e.Deltas {
		if err := e.checkDelta(d); err != nil {
			return err
		}
	}
	return nil
}

func (e Entry) checkCount() error {
	n := len(e.Deltas)
	switch {
	case e.Kind == Settled && n > 0:
		return fmt.Errorf("a settled order changes no stock, this one changes %d SKUs", n)
	case e.Kind == Adjusted && n != 1:
		return fmt.Errorf("an adjustment changes one SKU, not %d", n)
	case e.Kind != Settled && n == 0:
		return errors.New("it changes no stock")
	case n > order.MaxLines:
		return fmt.Errorf("it changes %d SKUs, more than %d", n, order.MaxLines)
	}
	return nil
}

func (e Entry) checkDelta(d order.Delta) error {
	if !skuPattern.MatchString(string(d.SKU)) {
		return fmt.Errorf("the SKU %q is not 1 to 64 letters, digits, '_', '.' or '-'", shorten(string(d.SKU)))
	}
	if limits := unitLimits[e.Kind]; d.Units < limits.lowest || d.Units > limits.highest {
		return fmt.Errorf("an entry of kind %s does not change %s by %d", e.Kind, d.SKU, d.Units)
	}
	return nil
}

// CleanText replaces bytes that are not UTF-8 and truncates to maxTextBytes.
func CleanText(s string) string {
	if len(s) > maxTextBytes {
		s = s[:maxTextBytes]
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// shorten bounds what an error quotes, in bytes.
func shorten(s string) string {
	const maxQuoted = 64
	if len(s) > maxQuoted {
		return s[:maxQuoted] + "..."
	}
	return s
}
