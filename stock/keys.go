package stock

import (
	"fmt"
	"strconv"

	"github.com/spillway/spillway/order"
)

// Keys names everything that this package keeps in Redis. Each name carries the hash tag {NAMESPACE:pN}, so that
// all keys of one partition live in one slot of a Redis Cluster and one script may touch them.
//
//	name                    type    lives                                            holds
//	epoch                   string  for ever                                         number of the open epoch; missing means wiped
//	journals                zset    for ever                                         epochs whose journals are not relayed to their end
//	journal:EPOCH           stream  until relayed; trimmed behind the relay          what happened: see Entry
//	trimmed:EPOCH           string  as long as its journal                           id below which the journal was trimmed
//	changes                 stream  for ever; trimmed to about changesMax entries    orders that SQL decided about: see Change
//	stock:EPOCH             hash    until the next epoch opens                       SKU → units left
//	order:ID                hash    a minute after its state is in SQL               state, snapshot, deltas, marker, entries
//	key:LEN:CUSTOMER:KEY    string  24 h (Limits.MarkerTTL)                          order id and fingerprint
//	rolledback:ID           string  24 h                                             that the stock was given back
//	rate:CUSTOMER           string  one window (Limits.RateWindow)                   orders of the customer in the window
//	bought:CUSTOMER         hash    one window (Limits.UnitsWindow)                  SKU → units ordered in the window, :first → its first order
//	unpaid                  zset    for ever; an order until it is paid or released,  order id → when it is checked whether it is PENDING,
//	                                or until its score if it is not PENDING then     in ms
//	unpaid_notes            hash    as unpaid                                        order id → its units and customer
//	unpaid_counts           hash    as unpaid                                        c:CUSTOMER → unpaid orders, u:SKU → units held unpaid
//	adjusted:ID             string  24 h                                             that the adjustment was made
type Keys struct {
	// Namespace keeps several shops on one Redis apart; "spillway" by default.
	Namespace string
	// Partition is 0 until there are several.
	Partition uint8
}

func (k Keys) name(rest string) string {
	return fmt.Sprintf("{%s:p%d}:%s", k.Namespace, k.Partition, rest)
}

// Epoch is the key of the open epoch's number.
func (k Keys) Epoch() string { return k.name("epoch") }

// Journals is the key of the set of journals that are not relayed to their end.
func (k Keys) Journals() string { return k.name("journals") }

// Journal is the key of an epoch's stream.
func (k Keys) Journal(epoch int64) string { return k.name("journal:" + strconv.FormatInt(epoch, 10)) }

// Trimmed is the key of the id below which an epoch's stream was trimmed.
func (k Keys) Trimmed(epoch int64) string { return k.name("trimmed:" + strconv.FormatInt(epoch, 10)) }

// Changes is the key of the stream of what SQL decided.
func (k Keys) Changes() string { return k.name("changes") }

// Stock is the key of an epoch's counters.
func (k Keys) Stock(epoch int64) string { return k.name("stock:" + strconv.FormatInt(epoch, 10)) }

// Order is the key of an order's record.
func (k Keys) Order(id order.ID) string { return k.name("order:" + string(id)) }

// Marker is the key of an idempotency marker. The customer's length keeps ("a:b", "c") and ("a", "b:c") apart.
func (k Keys) Marker(customer order.CustomerID, key string) string {
	return k.name(fmt.Sprintf("key:%d:%s:%s", len(customer), customer, key))
}

// RolledBack is the key that says that an order's stock was given back.
func (k Keys) RolledBack(id order.ID) string { return k.name("rolledback:" + string(id)) }

// Rate is the key of a customer's orders in the present window.
func (k Keys) Rate(customer order.CustomerID) string { return k.name("rate:" + string(customer)) }

// Bought is the key of the units that a customer ordered in the present window.
func (k Keys) Bought(customer order.CustomerID) string { return k.name("bought:" + string(customer)) }

// Unpaid are the keys of what unpaid orders hold, as stock/lua/unpaid.lua takes them: when each is forgotten, what it holds, and the sums.
func (k Keys) Unpaid() [3]string {
	return [3]string{k.name("unpaid"), k.name("unpaid_notes"), k.name("unpaid_counts")}
}

// Adjusted is the key that says that an adjustment was made.
func (k Keys) Adjusted(id string) string { return k.name("adjusted:" + id) }
