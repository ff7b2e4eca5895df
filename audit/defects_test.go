package audit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
)

// defect is one way to corrupt the data.
type defect struct {
	name string
	// breaks are SQL statements; {name} is the id of an order.
	breaks []string
	// external changes the data of Redis and of the provider; if it is nil, they are not read.
	external func(o externalFixture)
	// drained lists the expected violations, as "RULE ORDER-OR-SKU". running is the same while the shop is running; nil
	// means the same list.
	drained, running []string
}

const (
	old       = "'2020-01-01 00:00:00+00:00'"
	newCharge = "INSERT INTO charges (order_id, charge_id, state, amount, currency, decline_code, created_at, updated_at) VALUES "
	newRefund = "INSERT INTO refunds (refund_id, order_id, amount, currency, reason, created_at, next_try_at, confirmed_at) VALUES "
	newParcel = "INSERT INTO shipments (order_id, tracking_id, shipped_at, created_at) VALUES "
	newRange  = "INSERT INTO stock_dedup_log (partition_no, epoch, first_id, last_id, entries, applied_at) VALUES "
	newEpoch  = "INSERT INTO stock_epochs (partition_no, epoch, run_id, last_id, opened_at) VALUES "
	stamp     = "CURRENT_TIMESTAMP"
	nowhere   = "UPDATE stock_dedup_log SET orders = NULL"
)

// anHourAgo is older than the grace and not too old for the rule about mails.
var anHourAgo = "'" + time.Now().Add(-61*time.Minute).UTC().Format("2006-01-02 15:04:05+00:00") + "'"

var defects = slices.Concat(journalDefects, []defect{
	// Stock.
	{name: "a stock row changed", breaks: []string{"UPDATE products SET stock = stock + 1 WHERE sku = 'A'"}, drained: []string{"stock_adds_up A"}},
	{name: "an adjustment deleted", breaks: []string{"DELETE FROM stock_adjustments WHERE sku = 'B'"}, drained: []string{"stock_adds_up B"}},
	{name: "a product deleted", breaks: []string{"DELETE FROM products WHERE sku = 'A'"}, drained: []string{"stock_adds_up A"}},
	{
		name: "stock below nothing",
		breaks: []string{
			"UPDATE stock_adjustments SET delta = delta - 5 - (SELECT stock FROM products WHERE sku = 'A') WHERE sku = 'A'",
			"UPDATE products SET stock = -5 WHERE sku = 'A'",
		},
		drained: []string{"stock_not_negative A"},
	},
	{
		name: "the stock of one order taken twice",
		breaks: []string{
			"UPDATE products SET stock = stock - 2 WHERE sku = 'A'",
			"UPDATE stock_dedup_log SET orders = CONCAT(orders, {paid}, ' A:-2') WHERE last_id = '1003-0'",
		},
		drained: []string{"stock_adds_up A", "row_matches_journal paid"},
	},
	{
		name: "the stock of a paid order given back",
		breaks: []string{
			"UPDATE products SET stock = stock + 2 WHERE sku = 'A'",
			"UPDATE stock_dedup_log SET orders = CONCAT(orders, {paid}, ' A:2,B:0') WHERE last_id = '1003-0'",
		},
		drained: []string{"stock_adds_up A", "row_matches_journal paid", "units_return_once paid"},
	},
	{
		name: "the units of an order released twice",
		breaks: []string{
			"UPDATE products SET stock = stock + CASE sku WHEN 'A' THEN 2 ELSE 1 END WHERE sku IN ('A', 'B')",
			"UPDATE stock_dedup_log SET orders = CONCAT(orders, {declined}, ' A:2,B:1') WHERE last_id = '1003-0'",
		},
		drained: []string{"stock_adds_up A", "stock_adds_up B", "row_matches_journal declined", "units_return_once declined"},
	},
	{
		name: "the units of an order released and restocked",
		breaks: []string{
			"UPDATE products SET stock = stock + CASE sku WHEN 'A' THEN 2 ELSE 1 END WHERE sku IN ('A', 'B')",
			"UPDATE stock_dedup_log SET orders = CONCAT(orders, {refunded}, ' A:2,B:1') WHERE last_id = '1003-0'",
		},
		drained: []string{"stock_adds_up A", "stock_adds_up B", "units_return_once refunded"},
	},
	{
		// The sums of both SKUs are right: the second return of one order hides the missing return of the other.
		name: "the units of one order returned twice, and those of another never",
		breaks: []string{
			"UPDATE products SET stock = stock + CASE sku WHEN 'A' THEN 2 ELSE 1 END WHERE sku IN ('A', 'B')",
			"UPDATE stock_dedup_log SET orders = CONCAT(orders, {declined}, ' A:2,B:1') WHERE last_id = '1003-0'",
			"UPDATE orders SET state = 2, updated_at = '2020-02-01 00:00:00+00:00' WHERE id = {pending}",
			newCharge + "({pending}, 'x', 4, 898, 'EUR', '', " + stamp + ", " + stamp + ")",
		},
		drained: []string{"units_return_once declined", "row_matches_journal declined", "row_matches_journal pending", "cancelled_gives_units_back pending"},
		running: []string{"units_return_once declined", "row_matches_journal declined", "cancelled_gives_units_back pending", "stock_adds_up A", "stock_adds_up B"},
	},
	{
		name: "a release of other units than the order has, after the log of its reservation is gone",
		breaks: []string{
			"UPDATE products SET stock = stock - 1 WHERE sku = 'A'", "DELETE FROM stock_dedup_log WHERE last_id < '1003-0'",
			"UPDATE stock_dedup_log SET orders = CONCAT({declined}, ' A:1,B:1') WHERE last_id = '1003-0'",
		},
		drained: []string{"stock_adds_up A", "row_matches_journal declined"},
	},
	{
		name: "a release that is not recorded", breaks: []string{"DELETE FROM stock_returns WHERE order_id = {declined}"},
		drained: []string{"units_return_once declined", "cancelled_gives_units_back declined"}, running: []string{"units_return_once declined"},
	},
	{
		name: "a restock that is not recorded", breaks: []string{"DELETE FROM stock_returns WHERE order_id = {refunded}", nowhere},
		drained: []string{"units_return_once refunded", "cancelled_gives_units_back refunded"}, running: []string{"units_return_once refunded"},
	},
	{
		name: "the units of a cancelled order that never returned",
		breaks: []string{
			"UPDATE products SET stock = stock - CASE sku WHEN 'A' THEN 2 ELSE 1 END WHERE sku IN ('A', 'B')", nowhere,
			"DELETE FROM stock_returns WHERE order_id = {declined}", "UPDATE orders SET updated_at = '2020-02-01 00:00:00+00:00' WHERE id = {declined}",
		},
		drained: []string{"stock_adds_up A", "stock_adds_up B", "cancelled_gives_units_back declined"},
	},
	{
		name: "the units of a sold order recorded as returned",
		breaks: []string{
			"INSERT INTO stock_returns (order_id, epoch, entry_id, reason, returned_at) VALUES ({shipped}, 1, '1001-0', 'r', " + stamp + ")",
		},
		drained: []string{"units_return_once shipped"},
	},

	// Orders.
	{
		name: "a row deleted", breaks: []string{"DELETE FROM orders WHERE id = {paid}"},
		drained: []string{
			"stock_adds_up A", "stock_adds_up B", "row_matches_journal paid", "charge_has_order paid", "items_have_order A paid", "items_have_order B paid",
		},
		running: []string{"items_have_order A paid", "items_have_order B paid"},
	},
	{
		name: "a row and its items deleted some time ago",
		breaks: []string{
			"DELETE FROM orders WHERE id = {pending}",
			"DELETE FROM order_items WHERE order_id = {pending}",
			"UPDATE stock_dedup_log SET applied_at = " + old,
		},
		drained: []string{"stock_adds_up A", "stock_adds_up B", "row_matches_journal pending"},
		running: []string{"row_matches_journal pending"},
	},
	{
		name: "a row and its items deleted long ago",
		breaks: []string{
			"DELETE FROM orders WHERE id = {paid}", "DELETE FROM order_items WHERE order_id = {paid}",
			"UPDATE charges SET updated_at = " + old + " WHERE order_id = {paid}", nowhere,
		},
		drained: []string{"stock_adds_up A", "stock_adds_up B", "charge_has_order paid"},
	},
	{
		name: "an item's quantity changed", breaks: []string{"UPDATE order_items SET quantity = 3 WHERE order_id = {pending} AND sku = 'A'"},
		drained: []string{"stock_adds_up A", "row_matches_journal pending", "totals_add_up pending"},
	},
	{
		name: "an item deleted", breaks: []string{"DELETE FROM order_items WHERE order_id = {shipped} AND sku = 'B'", nowhere},
		drained: []string{"stock_adds_up B", "totals_add_up shipped"},
	},
	{
		name: "all items deleted", breaks: []string{"DELETE FROM order_items WHERE order_id = {shipped}", nowhere},
		drained: []string{"stock_adds_up A", "stock_adds_up B", "totals_add_up shipped"},
	},
	{
		name:    "a total changed",
		breaks:  []string{"UPDATE orders SET items_total = 400, total = 899 WHERE id = {pending}"},
		drained: []string{"totals_add_up pending"},
	},
	{name: "a total that is no sum", breaks: []string{"UPDATE orders SET total = 899 WHERE id = {pending}"}, drained: []string{"totals_add_up pending"}},
	{name: "a state that there is not", breaks: []string{"UPDATE orders SET state = 9 WHERE id = {pending}"}, drained: []string{"state_known pending"}},
	{
		name: "a cancelled order back to life", breaks: []string{"UPDATE orders SET state = 0 WHERE id = {declined}", nowhere},
		drained: []string{"stock_adds_up A", "stock_adds_up B", "pending_is_undecided declined"},
		running: []string{"stock_adds_up A", "stock_adds_up B"},
	},

	// Money.
	{name: "a charge deleted", breaks: []string{"DELETE FROM charges WHERE order_id = {paid}"}, drained: []string{"paid_is_charged_once paid"}},
	{
		name:    "a charge voided",
		breaks:  []string{"UPDATE charges SET state = 4 WHERE order_id = {failed}"},
		drained: []string{"paid_is_charged_once failed", "refunds_within_charge failed"},
	},
	{
		name: "a shipped order refunded",
		breaks: []string{
			"UPDATE charges SET state = 5 WHERE order_id = {shipped}",
			newRefund + "('r', {shipped}, 898, 'EUR', '', " + stamp + ", " + stamp + ", " + stamp + ")",
		},
		drained: []string{"paid_is_charged_once shipped"},
	},
	{name: "a double charge", breaks: []string{"UPDATE charges SET amount = 2 * amount WHERE order_id = {shipped}"}, drained: []string{"charge_is_total shipped"}},
	{
		name:    "a charge in another currency",
		breaks:  []string{"UPDATE charges SET currency = 'JPY' WHERE order_id = {shipped}"},
		drained: []string{"charge_is_total shipped"},
	},
	{
		name: "a charge for nothing", breaks: []string{newCharge + "({nobody}, 'x', 2, 5, 'EUR', '', " + stamp + ", " + stamp + ")"},
		drained: []string{"charge_has_order nobody"}, running: []string{},
	},
	{
		name: "an old charge for nothing", breaks: []string{newCharge + "({nobody}, 'x', 1, 5, 'EUR', '', " + old + ", " + old + ")"},
		drained: []string{"charge_has_order nobody"},
	},
	{
		name: "paid, but left pending", breaks: []string{newCharge + "({pending}, 'x', 2, 898, 'EUR', '', " + stamp + ", " + stamp + ")"},
		drained: []string{"pending_is_undecided pending"}, running: []string{},
	},
	{
		name: "declined, but left pending for long", breaks: []string{newCharge + "({pending}, 'x', 3, 898, 'EUR', '', " + old + ", " + old + ")"},
		drained: []string{"pending_is_undecided pending"},
	},
	{
		name: "declined, but left pending long after it expired",
		breaks: []string{
			newCharge + "({pending}, 'x', 3, 898, 'EUR', '', " + old + ", " + old + ")", "UPDATE orders SET expires_at = " + old + " WHERE id = {pending}",
		},
		drained: []string{"pending_is_undecided pending"},
	},
	{
		name: "a cancelled order without refund", breaks: []string{"UPDATE charges SET state = 2 WHERE order_id = {declined}"},
		drained: []string{"cancelled_is_refunded declined"}, running: []string{},
	},
	{
		name: "a long cancelled order whose charge may have succeeded",
		breaks: []string{
			"UPDATE charges SET state = 1, updated_at = " + old + " WHERE order_id = {declined}",
			"UPDATE orders SET updated_at = " + old + " WHERE id = {declined}",
		},
		drained: []string{"cancelled_is_refunded declined"},
	},
	{
		name: "a cancelled order without tombstone", breaks: []string{
			"DELETE FROM charges WHERE order_id = {declined}", "UPDATE orders SET updated_at = " + old + " WHERE id = {declined}",
		},
		drained: []string{"cancelled_is_refunded declined"},
	},
	{
		name: "a refund deleted", breaks: []string{"DELETE FROM refunds WHERE order_id = {refunded}"},
		drained: []string{"refunds_within_charge refunded", "cancellation_is_complete refunded"},
	},
	{
		name: "half a refund", breaks: []string{"UPDATE refunds SET amount = 449 WHERE order_id = {refunded}", "UPDATE order_cancellations SET refund_amount = 449 WHERE order_id = {refunded}"},
		drained: []string{"refunds_within_charge refunded"},
	},
	{
		name: "a refund of a charge that stands", breaks: []string{newRefund + "('r', {paid}, 898, 'EUR', '', " + stamp + ", " + stamp + ", " + stamp + ")"},
		drained: []string{"refunds_within_charge paid", "paid_is_charged_once paid"},
	},
	{
		name: "an operator's refunds of more than was paid", breaks: []string{"UPDATE refunds SET amount = 899 WHERE order_id = {failed}"},
		drained: []string{"refunds_within_charge failed"},
	},
	{
		name: "an operator's refund of all of an order that is not shipped", breaks: []string{
			"UPDATE refunds SET amount = 898 WHERE order_id = {failed}", "UPDATE charges SET state = 5 WHERE order_id = {failed}",
		},
		drained: []string{"paid_is_charged_once failed"},
	},
	{
		name: "a part of a paid order's money back, which no operator asked for", breaks: []string{"UPDATE refunds SET request_key = NULL WHERE order_id = {failed}"},
		drained: []string{"paid_is_charged_once failed"},
	},
	{
		name: "a refund of nothing", breaks: []string{newRefund + "('r', {nobody}, 898, 'EUR', '', " + stamp + ", " + stamp + ", " + stamp + ")"},
		drained: []string{"refunds_within_charge nobody"},
	},
	{
		name: "a refund in another currency", breaks: []string{"UPDATE refunds SET currency = 'USD' WHERE order_id = {refunded}"},
		drained: []string{"refunds_within_charge refunded"},
	},
	{
		name: "a refund that is not confirmed, of a charge that is said to be refunded", breaks: []string{"UPDATE refunds SET confirmed_at = NULL WHERE order_id = {refunded}"},
		drained: []string{"refunds_within_charge refunded", "refund_is_confirmed refunded"},
		running: []string{"refunds_within_charge refunded"},
	},
	{
		name: "a refund that the provider does not confirm", breaks: []string{
			"UPDATE refunds SET confirmed_at = NULL WHERE order_id = {refunded}", "UPDATE charges SET state = 6 WHERE order_id = {refunded}",
		},
		drained: []string{"refund_is_confirmed refunded"}, running: []string{},
	},
	{
		name: "a refund that the provider has not confirmed for long", breaks: []string{
			"UPDATE refunds SET confirmed_at = NULL, created_at = " + old + " WHERE order_id = {refunded}", "UPDATE charges SET state = 6 WHERE order_id = {refunded}",
		},
		drained: []string{"refund_is_confirmed refunded"},
	},

	// Cancellations.
	{
		name:    "a cancellation of a shipped order",
		breaks:  []string{cancellation + "({shipped}, 'r', 'c1', '', 0, '', 1, " + stamp + ", " + stamp + ", NULL, NULL, " + stamp + ")"},
		drained: []string{"cancellation_cancels shipped"},
	},
	{
		name:   "a cancelled order revived",
		breaks: []string{"UPDATE orders SET state = 1 WHERE id = {refunded}"},
		drained: []string{
			"cancellation_cancels refunded",
			"paid_is_charged_once refunded",
			"row_matches_journal refunded",
			"stock_adds_up A",
			"stock_adds_up B",
			"units_return_once refunded",
			"paid_has_mail refunded",
		},
		running: []string{
			"cancellation_cancels refunded",
			"paid_is_charged_once refunded",
			"row_matches_journal refunded",
			"stock_adds_up A",
			"stock_adds_up B",
			"units_return_once refunded",
		},
	},
	{
		name: "a cancellation of other units", breaks: []string{"UPDATE order_cancellations SET units = 'A:2' WHERE order_id = {refunded}"},
		drained: []string{"cancellation_gives_back_all refunded", "row_matches_journal refunded"},
	},
	{
		name: "a cancellation that cannot be read", breaks: []string{
			"UPDATE order_cancellations SET units = 'nonsense', restocked_at = NULL, finished_at = NULL WHERE order_id = {refunded}",
			"DELETE FROM stock_returns WHERE order_id = {refunded}",
		},
		drained: []string{"cancellation_gives_back_all refunded", "row_matches_journal refunded", "cancellation_is_finished refunded"},
		running: []string{"cancellation_gives_back_all refunded", "row_matches_journal refunded"},
	},
	{
		name: "a cancellation finished without restock", breaks: []string{"UPDATE order_cancellations SET restocked_at = NULL WHERE order_id = {refunded}", nowhere},
		drained: []string{"cancellation_is_complete refunded"},
	},
	{
		// The finisher marks it, because the return is recorded.
		name: "a cancellation restocked, but not marked so", breaks: []string{"UPDATE order_cancellations SET restocked_at = NULL, finished_at = NULL WHERE order_id = {lost}"},
		drained: []string{"cancellation_is_finished lost"}, running: []string{},
	},
	{
		name: "a cancellation that is still to give back what is in stock already", breaks: []string{
			"UPDATE order_cancellations SET restocked_at = NULL, finished_at = NULL WHERE order_id = {lost}", "DELETE FROM stock_returns WHERE order_id = {lost}",
		},
		drained: []string{"cancellation_is_finished lost", "stock_adds_up A", "stock_adds_up B"},
		running: []string{"stock_adds_up A", "stock_adds_up B"},
	},
	{
		name: "a cancellation that says too much", breaks: []string{"UPDATE order_cancellations SET refund_amount = 898 WHERE order_id = {lost}"},
		drained: []string{"cancellation_is_complete lost"},
	},
	{
		name: "a cancellation left unfinished", breaks: []string{"UPDATE order_cancellations SET finished_at = NULL WHERE order_id = {refunded}"},
		drained: []string{"cancellation_is_finished refunded"}, running: []string{},
	},

	{
		name: "a cancellation left unfinished for long", breaks: []string{"UPDATE order_cancellations SET finished_at = NULL, created_at = " + old + " WHERE order_id = {refunded}"},
		drained: []string{"cancellation_is_finished refunded"},
	},

	// Ages.
	{
		name:    "an order pending for long",
		breaks:  []string{"UPDATE orders SET updated_at = " + old + " WHERE id = {pending}"},
		drained: []string{"state_is_not_overdue pending"},
	},
	{
		name: "an order pending long after it expired", breaks: []string{"UPDATE orders SET updated_at = " + old + ", expires_at = " + anHourAgo + " WHERE id = {pending}"},
		drained: []string{"state_is_not_overdue pending"},
	},
	{
		name: "an order paid for long", breaks: []string{"UPDATE orders SET updated_at = " + anHourAgo + " WHERE id = {paid}"},
		drained: []string{"state_is_not_overdue paid"},
	},

	// Mails.
	{
		name: "a confirmation that was never sent", breaks: []string{
			"DELETE FROM sent_mails WHERE order_id = {failed}", "UPDATE orders SET updated_at = " + anHourAgo + " WHERE id = {failed}",
		},
		drained: []string{"paid_has_mail failed"},
	},
	{
		name: "a confirmation that was not sent yet", breaks: []string{"DELETE FROM sent_mails WHERE order_id = {paid}"},
		drained: []string{"paid_has_mail paid"}, running: []string{},
	},
	{
		name: "a parcel that its customer does not hear of", breaks: []string{
			"DELETE FROM due_mails WHERE order_id = {shipped}", "UPDATE orders SET updated_at = " + anHourAgo + " WHERE id = {shipped}",
		},
		drained: []string{"paid_has_mail shipped"},
	},
	{
		name: "a refund that its customer does not hear of", breaks: []string{
			"DELETE FROM due_mails WHERE order_id = {failed}", "UPDATE refunds SET confirmed_at = " + anHourAgo + " WHERE request_key IS NOT NULL",
		},
		drained: []string{"refund_has_mail failed"},
	},
	{
		name: "a refund of which the mail was not sent yet", breaks: []string{"DELETE FROM due_mails WHERE order_id = {failed}"},
		drained: []string{"refund_has_mail failed"}, running: []string{},
	},

	// Shipments.
	{name: "a lost shipment", breaks: []string{"DELETE FROM shipments"}, drained: []string{"shipped_has_shipment shipped"}},
	{
		name:    "a shipment of an order that is not shipped",
		breaks:  []string{newParcel + "({paid}, 'T', " + stamp + ", " + stamp + ")"},
		drained: []string{"shipment_is_shipped paid"},
	},
	{
		name:    "a shipment of nothing",
		breaks:  []string{newParcel + "({nobody}, 'T', " + stamp + ", " + stamp + ")"},
		drained: []string{"shipment_is_shipped nobody"},
	},
	{
		name: "a cancelled order at the carrier", breaks: []string{"UPDATE orders SET ship_claimed_at = " + stamp + " WHERE id = {declined}"},
		drained: []string{"cancelled_is_not_at_carrier declined"},
	},
})

var tables = []string{
	"products", "stock_adjustments", "stock_dedup_log", "stock_epochs", "orders", "order_items", "charges", "refunds", "order_cancellations", "shipments",
	"stock_returns", "sent_mails", "due_mails",
}

// TestRules_PlantedDefects corrupts a healthy shop in each way, and repairs it again.
func TestRules_PlantedDefects(t *testing.T) {
	onBoth(t, func(t *testing.T, w *fixture) {
		w.populate()
		w.unchecked()
		for _, table := range tables {
			w.exec("CREATE TABLE good_" + table + " AS SELECT * FROM " + table)
		}
		for _, d := range slices.Concat(defects, externalDefects) {
			t.Run(d.name, func(t *testing.T) {
				w := w.within(t)
				for _, statement := range d.breaks {
					w.exec(statement)
				}
				if d.running == nil {
					d.running = d.drained
				}
				drained, running := audit.Options{Drained: true}, audit.Options{}
				if d.external != nil {
					o := w.external()
					d.external(o)
					drained, running = o.options(true), o.options(false)
				}
				w.wants("drained", w.audit(drained), d.drained)
				w.wants("running", w.audit(running), d.running)
			})
			for _, table := range tables {
				_, err := w.raw.ExecContext(t.Context(), "DELETE FROM "+table)
				w.must(err)
				w.exec("INSERT INTO " + table + " SELECT * FROM good_" + table)
			}
		}
		w.wants("mended", w.audit(audit.Options{Drained: true}), nil)
	})
}

// unchecked disables the CHECK constraints, because the audit must not rely on them.
func (w *fixture) unchecked() {
	if w.db.Dialect() != "mysql" {
		w.exec("PRAGMA ignore_check_constraints = 1")
		return
	}
	for check, table := range map[string]string{"stock_not_negative": "products", "state_known": "orders", "total_adds_up": "orders"} {
		w.exec("ALTER TABLE " + table + " ALTER CHECK " + check + " NOT ENFORCED")
	}
}
