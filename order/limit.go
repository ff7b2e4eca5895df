package order

import (
	"fmt"
	"time"
)

// Limit names a limit per client or per product that keeps capacity for other clients. The names are part of the API.
type Limit string

// The limits.
const (
	// LimitOrderUnits bounds the units of one product in one order, LimitCustomerUnits those in all orders of a customer within a window.
	LimitOrderUnits    Limit = "units_per_order"
	LimitCustomerUnits Limit = "units_per_customer"
	// LimitUnpaidOrders bounds the unpaid orders of a customer, LimitUnpaidShare the units of a product that unpaid orders hold, and
	// LimitUnpaidTotal all unpaid orders.
	LimitUnpaidOrders Limit = "unpaid_orders_per_customer"
	LimitUnpaidShare  Limit = "unpaid_units_of_product"
	LimitUnpaidTotal  Limit = "unpaid_orders"
	// LimitCustomerOrders bounds the orders of a customer within a window.
	LimitCustomerOrders Limit = "orders_per_customer"
	// LimitSessions bounds the sessions that one network address may start.
	LimitSessions Limit = "sessions_per_address"
	// LimitCustomerCharges bounds the charges of a customer that are under way at once, LimitAddressCharges those of one network address
	// while they are slow.
	LimitCustomerCharges Limit = "charges_per_customer"
	LimitAddressCharges  Limit = "slow_charges_per_address"
	// LimitCustomerCancels bounds the calls of a customer that wait for a cancellation, LimitAddressCancels those of one network address.
	LimitCustomerCancels Limit = "cancellations_per_customer"
	LimitAddressCancels  Limit = "cancellations_per_address"
	// LimitAddressSearches bounds the searches of one network address that are in progress.
	LimitAddressSearches Limit = "searches_per_address"
	// LimitWatchers bounds the streams of one network address.
	LimitWatchers Limit = "watchers_per_address"
	// LimitCustomerReads and LimitCustomerWrites bound the calls of a customer within a minute, LimitAddressReads and LimitAddressWrites those of
	// one network address.
	LimitCustomerReads  Limit = "reads_per_customer"
	LimitCustomerWrites Limit = "writes_per_customer"
	LimitAddressReads   Limit = "reads_per_address"
	LimitAddressWrites  Limit = "writes_per_address"
	// LimitCustomerDeclines bounds the declined cards of a customer within an hour, LimitAddressDeclines those of one network address.
	LimitCustomerDeclines Limit = "declines_per_customer"
	LimitAddressDeclines  Limit = "declines_per_address"
)

// limitTexts describe each limit and what the caller can do. Each takes the maximum as its argument.
var limitTexts = map[Limit]string{
	LimitOrderUnits:     "one order may contain at most %d of this product: order fewer",
	LimitCustomerUnits:  "a customer may order at most %d of this product within a day or so: order fewer",
	LimitUnpaidOrders:   "a customer may have at most %d unpaid orders: pay or cancel one of them, or send a card",
	LimitUnpaidShare:    "at most %d of this product may be held by unpaid orders at the moment: send a card, order fewer, or try again later",
	LimitUnpaidTotal:    "there are %d unpaid orders, which is the most that the shop keeps: send a card, or try again later",
	LimitCustomerOrders: "a customer may place at most %d orders in a while: try again later",
	LimitSessions:       "too many sessions were started from your address, which may start %d a minute: try again later",

	LimitCustomerCharges:  "at most %d cards of a customer are charged at once: try again when one of them has its outcome",
	LimitAddressCharges:   "at most %d slow cards of your address are charged at once: try again later",
	LimitCustomerCancels:  "at most %d cancellations of a customer wait at once for what is written later: try again soon",
	LimitAddressCancels:   "at most %d cancellations of your address wait at once for what is written later: try again soon",
	LimitAddressSearches:  "at most %d searches of your address are in progress at once: try again when one of them has ended",
	LimitCustomerDeclines: "%d cards of a customer were declined within an hour: try again later",
	LimitAddressDeclines:  "%d cards from your address were declined within an hour: try again later",
	LimitCustomerReads:    "a customer may make at most %d calls that read a minute: try again later",
	LimitCustomerWrites:   "a customer may make at most %d calls that change something a minute: try again later",
	LimitAddressReads:     "too many calls came from your address, which may make %d that read a minute: try again later",
	LimitAddressWrites:    "too many calls came from your address, which may make %d that change something a minute: try again later",
	LimitWatchers:         "at most %d orders are watched from your address at once: stop watching one of them, or try again later",
}

// LimitError reports which limit a request would exceed. Nothing was done. It wraps ErrFailedPrecondition for the
// limits of units, which the same request exceeds again, and ErrOverloaded for the others.
type LimitError struct {
	Limit Limit
	// Maximum is the largest value that is allowed.
	Maximum int64
	// SKU is the product, for a limit of units.
	SKU SKU
	// After is the time to wait before a retry; 0 means that the same request is never accepted.
	After time.Duration
}

// Error describes the limit and what the caller can do.
func (e *LimitError) Error() string {
	text := fmt.Sprintf(limitTexts[e.Limit], e.Maximum)
	if e.SKU != "" {
		text = string(e.SKU) + ": " + text
	}
	return text
}

// Unwrap returns ErrFailedPrecondition or ErrOverloaded.
func (e *LimitError) Unwrap() error {
	if e.Limit == LimitOrderUnits || e.Limit == LimitCustomerUnits {
		return ErrFailedPrecondition
	}
	return ErrOverloaded
}
