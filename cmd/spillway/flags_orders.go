package main

import (
	"time"

	"github.com/spillway/spillway/app"
)

// orderFlags configure how orders are taken.
type orderFlags struct {
	Durability       string        `name:"durability" env:"SPILLWAY_DURABILITY" enum:"auto,journal,replica,sql" default:"${durability}" help:"What an answer promises. journal: the order is in Redis' append-only file; replica: and a replica of Redis has received it; sql: its row and its stock are in SQL. All processes of a shop share one setting, which the database records; another one is refused (see spillway durability). auto: the recorded one; at first sql on the embedded Redis and journal on a real one."`
	JournalMax       int           `name:"journal-max" env:"SPILLWAY_JOURNAL_MAX" default:"0" help:"How many journal entries may wait for SQL before orders are refused with resource_exhausted; 0 is 200000 on a real Redis and 8000 on the embedded one. On a real Redis, up to an eighth may be entries that were sent in the last 10 s."`
	CustomerOrders   int           `name:"customer-orders" env:"SPILLWAY_CUSTOMER_ORDERS" default:"${customer_orders}" help:"How many orders a customer may place in a minute; 0 is no limit."`
	UnitsWindow      time.Duration `name:"units-window" env:"SPILLWAY_UNITS_WINDOW" default:"${units_window}" help:"How long the units that a customer ordered count towards the maxPerCustomer of a product; 0 means that only those of one order do."`
	UnpaidOrders     int           `name:"unpaid-orders" env:"SPILLWAY_UNPAID_ORDERS" default:"${unpaid_orders}" help:"How many unpaid orders a customer may have; 0 is no limit. Unpaid are orders without a card, and those with a charge of unknown outcome."`
	UnpaidShare      int           `name:"unpaid-share" env:"SPILLWAY_UNPAID_SHARE" default:"${unpaid_share}" help:"How much of the unsold units of a product unpaid orders may hold, in percent, but at least one unit; 0 is no limit."`
	UnpaidTotal      int           `name:"unpaid-total" env:"SPILLWAY_UNPAID_TOTAL" default:"${unpaid_total}" help:"How many unpaid orders there may be in all, of about 7 kB in Redis each; 0 is no limit."`
	CustomerDeclines int           `name:"customer-declines" env:"SPILLWAY_CUSTOMER_DECLINES" default:"${customer_declines}" help:"How many cards of a customer may be declined within an hour, in all processes; then another one is refused until the hour is over. 0 is no limit."`
	AddressDeclines  int           `name:"address-declines" env:"SPILLWAY_ADDRESS_DECLINES" default:"${address_declines}" help:"The same of one client address (IPv6: one /64)."`
	PayWithin        time.Duration `name:"pay-within" env:"SPILLWAY_PAY_WITHIN" default:"${pay_within}" help:"How long an order that was placed without a card can be paid; then it is cancelled."`
	ReconcileAfter   time.Duration `name:"reconcile-after" env:"SPILLWAY_RECONCILE_AFTER" default:"${reconcile_after}" help:"After how long an order with an unknown payment is settled or cancelled as the payment service reports. A checkout takes up to 15s."`
	RepairAfter      time.Duration `name:"repair-after" env:"SPILLWAY_REPAIR_AFTER" default:"${repair_after}" help:"After how long an order that the queue did not bring to SQL is brought there from Redis; a confirmation that was not sent is sent after twice as long."`
	LostAfter        time.Duration `name:"lost-after" env:"SPILLWAY_LOST_AFTER" default:"${lost_after}" help:"How long after a Redis lost its data the orders that it held may still come through the queue; then they are cancelled and refunded. At least 20s."`
	SQLModeAttempts  int           `name:"sql-mode-attempts" env:"SPILLWAY_SQL_MODE_ATTEMPTS" default:"${sql_mode_attempts}" help:"After how many failed attempts in a row to reach Redis the shop takes orders in SQL, if no process reaches it; ten take about half a minute. 0 is never: then orders are refused without Redis."`
	ReserveShare     int           `name:"reserve-share" env:"SPILLWAY_RESERVE_SHARE" default:"${reserve_share}" help:"How much of the stock of each product Redis does not get, in percent, so that it can be sold in SQL while Redis is unavailable. With durability sql all stock is, and this does nothing. A change takes effect when the process starts; -1 keeps what the database records, at first 0."`
}

func (f orderFlags) config() app.OrderConfig {
	return app.OrderConfig{
		Durability: f.Durability, JournalMax: f.JournalMax, CustomerOrders: f.CustomerOrders, UnitsWindow: f.UnitsWindow,
		UnpaidOrders: f.UnpaidOrders, UnpaidShare: f.UnpaidShare, UnpaidTotal: f.UnpaidTotal, CustomerDeclines: f.CustomerDeclines, AddressDeclines: f.AddressDeclines, PayWithin: f.PayWithin,
		ReconcileAfter: f.ReconcileAfter, RepairAfter: f.RepairAfter, LostAfter: f.LostAfter,
		SQLModeAttempts: f.SQLModeAttempts, ReserveShare: f.ReserveShare,
	}
}
