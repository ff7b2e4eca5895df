package app

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// OrderConfig configures how orders are taken.
type OrderConfig struct {
	Durability     string        // DurabilityAuto, or one that the database records
	JournalMax     int           // journal entries that may wait for SQL; 0: a default that depends on the Redis
	CustomerOrders int           // orders a minute and customer; 0: no limit
	UnitsWindow    time.Duration // how long units count towards a product's maximum per customer; 0: those of one order
	UnpaidOrders   int           // unpaid orders a customer; 0: no limit
	UnpaidShare    int           // percent of a product's unsold units that unpaid orders may hold; 0: no limit
	UnpaidTotal    int           // unpaid orders in all; 0: no limit
	// CustomerDeclines and AddressDeclines bound the declined cards of a customer and of a client address within an hour; 0: no limit.
	CustomerDeclines, AddressDeclines int
	PayWithin                         time.Duration // how long an order without a card can be paid
	ReconcileAfter                    time.Duration // age at which an order with an unknown payment is reconciled
	RepairAfter                       time.Duration // age at which an order that is not in SQL is repaired from Redis
	LostAfter                         time.Duration // age at which orders of a lost Redis are cancelled and refunded
	// SQLModeAttempts is the number of failed attempts to reach Redis after which orders are taken in SQL; 0: never.
	SQLModeAttempts int
	ReserveShare    int // percent of each product's stock that Redis does not get; keepReserveShare: as recorded
}

// keepReserveShare leaves the reserve share as the database records it.
const keepReserveShare = -1

// sqlMode bounds how long Redis may be unavailable before orders are taken in SQL.
func (c OrderConfig) sqlMode() journal.SQLModeConfig {
	cfg := journal.DefaultSQLModeConfig()
	cfg.Attempts = c.SQLModeAttempts
	return cfg
}

// reserveShare is the configured reserve share; nil if it is left as recorded.
func (c OrderConfig) reserveShare() *int {
	if c.ReserveShare == keepReserveShare {
		return nil
	}
	return &c.ReserveShare
}

func (c OrderConfig) validate(embedded bool) error {
	var errs []error
	if embedded && c.Durability == store.DurabilityReplica {
		errs = append(errs, errReplicaEmbedded)
	}
	for flag, d := range map[string]time.Duration{"--pay-within": c.PayWithin, "--reconcile-after": c.ReconcileAfter, "--repair-after": c.RepairAfter, "--lost-after": c.LostAfter} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s %s: must be more than nothing", flag, d))
		}
	}
	if c.JournalMax < 0 {
		errs = append(errs, fmt.Errorf("--journal-max %d: must not be negative", c.JournalMax))
	}
	for flag, n := range map[string]int{
		"--customer-orders": c.CustomerOrders, "--unpaid-orders": c.UnpaidOrders, "--unpaid-total": c.UnpaidTotal,
		"--customer-declines": c.CustomerDeclines, "--address-declines": c.AddressDeclines,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s %d: must not be negative", flag, n))
		}
	}
	if c.SQLModeAttempts < 0 {
		errs = append(errs, fmt.Errorf("--sql-mode-attempts %d: must not be negative", c.SQLModeAttempts))
	}
	if c.ReserveShare < keepReserveShare || c.ReserveShare > 100 {
		errs = append(errs, fmt.Errorf("--reserve-share %d: must be 0 to 100, or -1", c.ReserveShare))
	}
	if c.UnpaidShare < 0 || c.UnpaidShare > 100 {
		errs = append(errs, fmt.Errorf("--unpaid-share %d: must be 0 to 100", c.UnpaidShare))
	}
	if c.UnitsWindow != 0 && c.UnitsWindow < time.Second {
		errs = append(errs, fmt.Errorf("--units-window %s: must be a second or more, or 0", c.UnitsWindow))
	}
	if c.Durability != DurabilityAuto && !slices.Contains(store.Durabilities, c.Durability) {
		errs = append(errs, fmt.Errorf("--durability %q: must be auto, journal, replica or sql", c.Durability))
	}
	return errors.Join(errs...)
}

var errReplicaEmbedded = errors.New("--durability replica needs --redis: the embedded Redis has no replica")

// unpaidSlack is the time after its expiry at which an unpaid order is compared with its record, to decide whether it still counts: the
// reconciler cancels it within seconds, unless the payment provider is unavailable.
const unpaidSlack = 5 * time.Minute

// embeddedJournalMax: the in-process Redis walks its streams, which is slow beyond 10,000 entries.
const embeddedJournalMax = 8000

func (c OrderConfig) limits(embedded bool) stock.Limits {
	l := stock.DefaultLimits()
	l.CustomerOrders, l.UnitsWindow = c.CustomerOrders, c.UnitsWindow
	l.UnpaidOrders, l.UnpaidPercent, l.UnpaidTotal = c.UnpaidOrders, c.UnpaidShare, c.UnpaidTotal
	l.UnpaidTTL = c.PayWithin + unpaidSlack
	switch {
	case c.JournalMax > 0:
		l.JournalMax = c.JournalMax
	case embedded:
		l.JournalMax = embeddedJournalMax
	}
	return l
}

// DurabilityAuto selects the durability that the database records, or else the default of the kind of Redis.
const DurabilityAuto = "auto"

// durability is the setting of this process: the configured one, or else the recorded one, or the default.
func (c OrderConfig) durability(recorded string, embedded bool) string {
	switch {
	case c.Durability != DurabilityAuto:
		return c.Durability
	case recorded != "":
		return recorded
	case embedded:
		return store.DurabilitySQL
	}
	return store.DurabilityJournal
}

// declines bounds the declined cards.
func (c OrderConfig) declines(events server.EventCounter, log *slog.Logger) *server.DeclineLimits {
	return server.NewDeclineLimits(server.DeclineConfig{PerCustomer: c.CustomerDeclines, PerAddress: c.AddressDeclines, Shared: events, Log: log})
}
