package stock

import (
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Keys names what this package keeps in Redis, beside the keys of the journal (journal/keys.go), which it embeds.
//
//	name                    type    TTL                                              holds
//	order:ID                hash    none; Limits.HotOrderTTL once its state is in SQL  hot order: state, snapshot, deltas, entries
//	key:LEN:CUSTOMER:KEY    string  Limits.IdempotencyTTL (24 h)                     idempotency record: order id and fingerprint
//	rolledback:ID           string  24 h                                             id of the entry that gave the stock back
//	rate:CUSTOMER           string  Limits.RateWindow                                orders of the customer in the window
//	bought:CUSTOMER         hash    Limits.UnitsWindow; of a claimed guest           SKU → units ordered in the window, :ID → what an order counted: see lua/unpaid.lua
//	                                as claimed:GUEST                                 and, for orders that only SQL has, lua/bought.lua
//	claimed:GUEST           string  keep of ClaimGuest: 31 days                      customer who has claimed the guest's orders
//	unpaid                  zset    none; an order until it is paid or released,     order id → when it is checked whether it is PENDING,
//	                                or until its score if it is not PENDING then     in ms
//	unpaid_notes            hash    as unpaid                                        order id → its units and customer
//	unpaid_counts           hash    as unpaid                                        c:CUSTOMER → unpaid orders, u:SKU → units held unpaid
//	adjusted:ID             string  Limits.IdempotencyTTL (24 h)                     entry of the adjustment, its SKU and units
//	drops                   string  none                                             how often counters were dropped: see DropCounters
type Keys struct {
	journal.Keys
}

// Order is the key of a hot order.
func (k Keys) Order(id order.ID) string { return k.Name("order:", string(id)) }

// Idempotency is the key of an idempotency record. The customer's length separates ("a:b", "c") from ("a", "b:c").
func (k Keys) Idempotency(customer order.CustomerID, key string) string {
	return k.Name("key:", strconv.Itoa(len(customer)), ":", string(customer), ":", key)
}

// Drops is the key of the number of times that counters were dropped.
func (k Keys) Drops() string { return k.Name("drops") }

// RolledBack is the key of the mark that an order's stock was given back.
func (k Keys) RolledBack(id order.ID) string { return k.Name("rolledback:", string(id)) }

// Rate is the key of the number of a customer's orders in the present window.
func (k Keys) Rate(customer order.CustomerID) string { return k.Name("rate:", string(customer)) }

// Bought is the key of the units that a customer ordered in the present window.
func (k Keys) Bought(customer order.CustomerID) string { return k.Name("bought:", string(customer)) }

// Claimed is the key of the mark that a customer has claimed the orders of a guest.
func (k Keys) Claimed(guest order.CustomerID) string { return k.Name("claimed:", string(guest)) }

// Unpaid are the keys of the unpaid orders as stock/lua/unpaid.lua takes them: the expiry of each, its units, and the sums.
func (k Keys) Unpaid() [3]string {
	return [3]string{k.Name("unpaid"), k.Name("unpaid_notes"), k.Name("unpaid_counts")}
}

// Adjusted is the key of the record of an adjustment.
func (k Keys) Adjusted(id string) string { return k.Name("adjusted:", id) }
