package currency

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
)

const (
	// pollInterval is the time between two checks of a rates file: rates are published once a day, and a stat is cheap.
	pollInterval = time.Minute
	// maxFileBytes is the maximum size of a rates file; one of all currencies has 500 bytes.
	maxFileBytes = 64 << 10
	// maxAhead is how far the day of the rates may be in the future: in the earliest time zone a day begins 14 hours
	// before UTC.
	maxAhead = 24 * time.Hour
)

// Config selects the rates.
type Config struct {
	// File is a CSV file of rates, which is read again when it changes. If it is empty, the embedded rates are used.
	File string
	// MaxAge is the maximum age of the rates, from 00:00 UTC of their day; 0 means no limit.
	MaxAge time.Duration
}

// Live holds the current rates of a process. It is safe for concurrent use.
type Live struct {
	cfg   Config
	known *Table
	table atomic.Pointer[Table]
	log   *slog.Logger
	now   func() time.Time
	// seen and problem are the results of the last poll, used by Run only.
	seen    stamp
	problem string
}

// stamp identifies a version of a file.
type stamp struct {
	modified time.Time
	size     int64
}

// New loads the rates. It fails for a file that cannot be read or is invalid, and for rates that are too old.
func New(cfg Config, log *slog.Logger) (*Live, error) { return newLive(cfg, log, time.Now) }

func newLive(cfg Config, log *slog.Logger, now func() time.Time) (*Live, error) {
	shipped, err := Load()
	if err != nil {
		return nil, err
	}
	l := &Live{cfg: cfg, known: shipped, log: log, now: now}
	if cfg.File == "" {
		l.table.Store(shipped)
		err = l.fresh(shipped)
		return l, err
	}
	if l.seen, err = stampOf(cfg.File); err != nil {
		return nil, err
	}
	table, err := l.read()
	l.table.Store(table)
	return l, err
}

// Date returns the day of the current rates, as YYYY-MM-DD.
func (l *Live) Date() string { return l.table.Load().Date() }

// Codes returns the currencies, sorted.
func (l *Live) Codes() []order.Currency { return l.table.Load().Codes() }

// Expires returns the time when the rates become too old; zero without a maximum age.
func (l *Live) Expires() time.Time { return l.expires(l.table.Load()) }

// expires returns the time when the table becomes too old.
func (l *Live) expires(t *Table) time.Time {
	if l.cfg.MaxAge == 0 {
		return time.Time{}
	}
	return t.date.Add(l.cfg.MaxAge)
}

// Convert is Table.Convert with the current rates. It fails with a *order.RatesTooOldError when they are too old. An
// amount in the target currency needs no rate, so that prices in the catalogue's own currency stay valid.
func (l *Live) Convert(m order.Money, to order.Currency) (order.Money, error) {
	t := l.table.Load()
	out, err := t.Convert(m, to)
	if err == nil && m.Currency != to {
		err = l.fresh(t)
	}
	if err != nil {
		return order.Money{}, err
	}
	return out, nil
}

// fresh returns a *order.RatesTooOldError for rates above the maximum age.
func (l *Live) fresh(t *Table) error {
	if at := l.expires(t); !at.IsZero() && l.now().After(at) {
		return &order.RatesTooOldError{Date: t.Date(), MaxAge: l.cfg.MaxAge}
	}
	return nil
}

// Run polls the file until ctx ends, and reloads it after a change. A file that is invalid or too old is logged, and
// the previous rates stay in use.
func (l *Live) Run(ctx context.Context) { pause.Every(ctx, pollInterval, l.poll) }

// poll loads the file if it has changed, and logs each new problem once.
func (l *Live) poll(ctx context.Context) {
	err := l.reload(ctx)
	if err == nil {
		err = l.fresh(l.table.Load())
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != "" && problem != l.problem {
		l.log.ErrorContext(ctx, "failed to load the exchange rates", "rate_date", l.Date(), "file", l.cfg.File, "error", err)
	}
	l.problem = problem
}

// reload replaces the rates by those of the file.
func (l *Live) reload(ctx context.Context) error {
	if l.cfg.File == "" {
		return nil
	}
	now, err := stampOf(l.cfg.File)
	if err != nil || now == l.seen {
		return err
	}
	table, err := l.read()
	if err != nil {
		return fmt.Errorf("the rates of %s stay in use: %w", l.Date(), err)
	}
	l.seen = now
	l.table.Store(table)
	l.log.InfoContext(ctx, "exchange rates loaded", "rate_date", table.Date(), "currencies", len(table.rates))
	return nil
}

// read reads and validates the file.
func (l *Live) read() (*Table, error) {
	f, err := os.Open(l.cfg.File)
	if err != nil {
		return nil, fmt.Errorf("exchange rates: %w", err)
	}
	defer func() { _ = f.Close() }() // It was only read.
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("exchange rates: %w", err)
	case len(text) > maxFileBytes:
		return nil, fmt.Errorf("exchange rates: %s is larger than %d bytes: %w", l.cfg.File, maxFileBytes, order.ErrInvalid)
	}
	t, err := parse(string(text), l.known.rates)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.cfg.File, err)
	}
	if t.date.After(l.now().Add(maxAhead)) {
		return nil, fmt.Errorf("%s: exchange rates: the date %s lies in the future: %w", l.cfg.File, t.Date(), order.ErrInvalid)
	}
	return t, l.fresh(t)
}

// stampOf returns the stamp of the file at the path.
func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, fmt.Errorf("exchange rates: %w", err)
	}
	return stamp{info.ModTime(), info.Size()}, nil
}
