package audit_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func TestAudit_EmptyDatabase(t *testing.T) {
	onBoth(t, func(_ *testing.T, w *fixture) {
		w.wants("running", w.audit(audit.Options{}), nil)
		w.wants("drained", w.audit(audit.Options{Drained: true}), nil)
	})
}

func TestAudit_HealthyShop(t *testing.T) {
	onBoth(t, func(t *testing.T, w *fixture) {
		w.populate()
		w.wants("running", w.audit(audit.Options{}), nil)
		r := w.audit(audit.Options{Drained: true})
		w.wants("drained", r, nil)
		checked := map[string]int64{}
		for _, rule := range r.Rules {
			checked[rule.Rule] = rule.Checked
		}
		for rule, want := range map[string]int64{
			"stock_adds_up": 3, "totals_add_up": 6, "items_have_order": 12, "paid_is_charged_once": 3, "charge_is_total": 4, "charge_has_order": 6,
			"pending_is_undecided": 1, "cancelled_is_refunded": 2, "refunds_within_charge": 2, "refund_is_confirmed": 2, "cancellation_is_complete": 2,
			"cancellation_gives_back_all": 1, "shipped_has_shipment": 1, "shipment_is_shipped": 1, "row_matches_journal": 7, "journal_applied_once": 5, "journal_has_no_gaps": 4,
			"state_is_not_overdue": 2, "paid_has_mail": 3, "refund_has_mail": 1, "units_return_once": 3, "cancelled_gives_units_back": 2,
		} {
			if checked[rule] != want {
				t.Errorf("%s looked at %d; want %d", rule, checked[rule], want)
			}
		}
	})
}

// TestAudit_OrdersInFlight checks that the stock in SQL may be ahead of the orders' rows, by the log of the journal,
// until it is drained.
func TestAudit_OrdersInFlight(t *testing.T) {
	onBoth(t, func(t *testing.T, w *fixture) {
		w.populate()
		reserved, released, pruned, duplicate := w.order("reserved"), w.order("released"), w.order("pruned"), w.order("duplicate")
		var want []string
		step := func(what string, apart int64, more ...string) {
			t.Helper()
			want = append(want, more...)
			r := w.audit(audit.Options{})
			w.wants(what+", running", r, nil)
			if r.OrdersInFlight != apart {
				t.Errorf("%s: %d are in flight; want %d", what, r.OrdersInFlight, apart)
			}
			w.wants(what+", drained", w.audit(audit.Options{Drained: true}), want)
		}
		w.flush(took(reserved))
		step("a row to come", 1, "row_matches_journal reserved", "stock_adds_up A", "stock_adds_up B")

		w.charge(reserved, order.ChargeSucceeded)
		step("and its charge", 1, "charge_has_order reserved")

		w.write(released, order.Pending)
		w.flush(took(released))
		w.flush(gives(released))
		// The differences cancel out, so that the sums of the SKUs are right. The orders are reported all the same.
		want = slices.DeleteFunc(want, func(s string) bool { return s[:5] == "stock" })
		step("a release to come", 2, "row_matches_journal released")

		w.flush(took(pruned))
		w.exec("UPDATE stock_dedup_log SET orders = NULL WHERE last_id = ?", w.offset)
		w.flush(gives(pruned))
		w.write(pruned, order.Pending)
		step("a release of which the log has no beginning", 3, "row_matches_journal pruned", "stock_adds_up A", "stock_adds_up B")

		w.flush(took(duplicate))
		w.write(duplicate, order.Cancelled)
		want = slices.DeleteFunc(want, func(s string) bool { return s[:5] == "stock" })
		step(
			"a refused order whose stock and money are to go back",
			4,
			"row_matches_journal duplicate",
			"cancelled_is_refunded duplicate",
			"cancelled_gives_units_back duplicate",
		)

		w.write(reserved, order.Paid)
		w.must(store.NewMails(w.db).MarkSent(t.Context(), []order.SentMail{{MailID: order.MailID{OrderID: reserved.ID, Kind: order.MailConfirmation}}}))
		w.write(released, order.Cancelled)
		w.write(pruned, order.Cancelled)
		w.flush(gives(duplicate))
		for _, o := range []order.Order{released, pruned, duplicate} {
			w.charge(o, order.ChargeVoided)
		}
		want = nil
		step("all of it drained", 0)
	})
}

// TestAudit_CancellationInProgress covers a CANCELLED order before its money and its units are returned.
func TestAudit_CancellationInProgress(t *testing.T) {
	onBoth(t, func(_ *testing.T, w *fixture) {
		w.populate()
		w.exec("UPDATE orders SET state = 2, updated_at = '2020-01-01 00:00:00+00:00' WHERE id = {paid}")
		w.exec("UPDATE charges SET updated_at = '2020-01-01 00:00:00+00:00' WHERE order_id = {paid}")
		w.exec(cancellation + "({paid}, 'r', 'c1', 'A:2,B:1', 0, 'EUR', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, NULL, NULL, NULL)")
		w.wants("running", w.audit(audit.Options{}), nil)
		w.wants("drained", w.audit(audit.Options{Drained: true}), []string{"cancellation_is_finished paid", "cancelled_is_refunded paid"})

		// The same for an order that was lost with its Redis.
		w.flush(took(w.order("gone")))
		w.exec(cancellation + "({gone}, 'r', 'c1', 'A:2,B:1', 0, 'EUR', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, NULL, NULL, NULL)")
		r := w.audit(audit.Options{})
		w.wants("running", r, nil)
		if r.OrdersInFlight != 0 {
			w.t.Errorf("%d are in flight: a lost order is not", r.OrdersInFlight)
		}

		// One is written after all: until its cancellation is leased, both exist.
		back := w.order("back")
		w.flush(took(back))
		w.write(back, order.Pending)
		w.must(w.cancellations.Enqueue(w.t.Context(), []store.Cancellation{{OrderID: back.ID, Units: gives(back).Deltas}}))
		w.wants("turned up, running", w.audit(audit.Options{}), nil)
		w.wants("turned up, drained", w.audit(audit.Options{Drained: true}), []string{
			"cancellation_is_finished paid", "cancelled_is_refunded paid", "cancellation_is_finished gone",
			"cancellation_is_finished back", "cancellation_cancels back",
		})
	})
}

// TestAudit_DeclinedOrderThatMayStillBePaid covers an order that keeps its stock until it expires, because another card
// can be tried.
func TestAudit_DeclinedOrderThatMayStillBePaid(t *testing.T) {
	onBoth(t, func(_ *testing.T, w *fixture) {
		w.populate()
		w.exec(newCharge + "({pending}, 'x', 3, 898, 'EUR', '', '2020-01-01 00:00:00+00:00', '2020-01-01 00:00:00+00:00')")
		w.exec("UPDATE orders SET expires_at = '2120-01-01 00:00:00+00:00' WHERE id = {pending}")
		w.wants("running", w.audit(audit.Options{}), nil)
		w.wants("drained", w.audit(audit.Options{Drained: true}), nil)
	})
}

// TestAudit_ViolationsAreBoundedAndShared checks that a rule with very many violations hides no rule with a single one.
func TestAudit_ViolationsAreBoundedAndShared(t *testing.T) {
	onBoth(t, func(t *testing.T, w *fixture) {
		w.populate()
		w.exec("INSERT INTO stock_adjustments (adjustment_id, sku, delta, reason, actor, created_at) " +
			"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) " +
			"SELECT CAST(i AS CHAR(9)), CAST(i AS CHAR(9)), 1, '', '', CURRENT_TIMESTAMP FROM n")
		w.exec("INSERT INTO order_items (order_id, sku, name, quantity, unit_price) " +
			"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) " +
			"SELECT {nobody}, CAST(i AS CHAR(9)), '', 1, 1 FROM n")
		w.exec("DELETE FROM shipments")
		r := w.audit(audit.Options{Drained: true})
		kept := map[string]int{}
		for _, f := range r.Violations {
			kept[f.Rule]++
		}
		if len(r.Violations) != audit.MaxViolations || kept["stock_adds_up"] != 500 || kept["items_have_order"] != 499 || kept["shipped_has_shipment"] != 1 {
			t.Errorf("kept %d violations: %v", len(r.Violations), kept)
		}
		for _, rule := range r.Rules {
			if want := map[string]int64{"stock_adds_up": 600, "items_have_order": 700, "shipped_has_shipment": 1}[rule.Rule]; rule.Violations != want {
				t.Errorf("%s: %d violations; want %d", rule.Rule, rule.Violations, want)
			}
		}
	})
}

// TestAudit_RefundedShippedOrder covers a full refund of a shipped order by an operator, which the provider may confirm
// later.
func TestAudit_RefundedShippedOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, w *fixture) {
		w.populate()
		refund, err := w.ledger.RefundOrder(t.Context(), store.RefundRequest{OrderID: w.ids["shipped"], RefundID: "all", Key: "k", Reason: "broken", Actor: "ops"})
		w.must(err)
		w.wants("requested, running", w.audit(audit.Options{}), nil)
		w.wants("requested, drained", w.audit(audit.Options{Drained: true}), []string{"refund_is_confirmed shipped"})
		_, err = w.ledger.ConfirmRefund(t.Context(), refund)
		w.must(err)
		w.wants("confirmed", w.audit(audit.Options{Drained: true}), nil)
	})
}

// TestAudit_LogPrunedWithFlushersClocksApart checks that pruning leaves no gap, also when a later range was applied by
// a flusher with a slower clock.
func TestAudit_LogPrunedWithFlushersClocksApart(t *testing.T) {
	onBoth(t, func(_ *testing.T, w *fixture) {
		w.populate()
		w.exec("UPDATE stock_dedup_log SET applied_at = " + old + " WHERE last_id = '1002-0'")
		w.must(w.stock.PruneDedupLog(w.t.Context(), 0, 1))
		w.wants("drained", w.audit(audit.Options{Drained: true}), nil)
	})
}

// TestAudit_MailsThatAreDueOrDead checks that such mails are not missing, nor are those of orders that are too old to
// have a record of them.
func TestAudit_MailsThatAreDueOrDead(t *testing.T) {
	onBoth(t, func(_ *testing.T, w *fixture) {
		w.populate()
		w.exec("DELETE FROM sent_mails")
		w.exec("UPDATE orders SET updated_at = " + old + " WHERE id = {failed}")
		ctx, mails := w.t.Context(), store.NewMails(w.db)
		w.must(mails.AddDue(ctx, w.ids["shipped"], order.MailConfirmation))
		w.must(
			store.NewDeadLetters(w.db).Put(ctx, store.DeadLetter{DedupKey: "mailer/order/" + string(w.ids["paid"]), Source: "mailer", OrderID: string(w.ids["paid"])}),
		)
		w.wants("drained", w.audit(audit.Options{Drained: true}), nil)
		w.exec("UPDATE failed_orders SET dedup_key = CONCAT(dedup_key, '/cancelled')")
		w.wants("another mail is dead, drained", w.audit(audit.Options{Drained: true}), []string{"paid_has_mail paid"})
	})
}

// TestAudit_MailOfARefund checks that the mail of an operator's refund is not missing when it is due, was sent, or is a dead letter.
func TestAudit_MailOfARefund(t *testing.T) {
	onBoth(t, func(_ *testing.T, w *fixture) {
		w.populate()
		ctx, mail := w.t.Context(), order.MailID{OrderID: w.ids["failed"], Kind: order.RefundMail("part")}
		w.wants("it is due", w.audit(audit.Options{Drained: true}), nil)
		w.exec("DELETE FROM due_mails WHERE order_id = {failed}")
		w.wants("it is lost", w.audit(audit.Options{Drained: true}), []string{"refund_has_mail failed"})
		dead := store.DeadLetter{DedupKey: store.MailKey(mail.OrderID, mail.Kind), Source: store.MailerSource, OrderID: string(mail.OrderID)}
		w.must(store.NewDeadLetters(w.db).Put(ctx, dead))
		w.wants("it is dead", w.audit(audit.Options{Drained: true}), nil)
		w.exec("DELETE FROM failed_orders")
		w.must(store.NewMails(w.db).MarkSent(ctx, []order.SentMail{{MailID: mail}}))
		w.wants("it was sent", w.audit(audit.Options{Drained: true}), nil)
	})
}

// TestAudit_RedisAndProvider checks that they are read if the options have them, and that the audit fails when one of
// them is unavailable.
func TestAudit_RedisAndProvider(t *testing.T) {
	onBoth(t, func(t *testing.T, w *fixture) {
		w.populate()
		o := w.external()
		checked := func(r audit.Report) map[string]int64 {
			out := map[string]int64{}
			for _, rule := range r.Rules {
				out[rule.Rule] = rule.Checked
			}
			return out
		}
		r := w.audit(o.options(true))
		w.wants("drained", r, nil)
		if c := checked(r); c["counters_match_sql"] != 2 || c["provider_matches_ledger"] != 5 || len(r.Rules) != len(audit.Rules()) {
			t.Errorf("%d counters and %d lines of the provider were looked at, by %d rules", c["counters_match_sql"], c["provider_matches_ledger"], len(r.Rules))
		}
		r = w.audit(o.options(false))
		w.wants("running", r, nil)
		if _, ok := checked(r)["counters_match_sql"]; ok {
			t.Error("the counters of a running shop were compared")
		}
		o.counters.LastID, o.counters.err = "", order.ErrUnavailable // A journal that is trimmed to its end.
		if _, err := audit.Run(t.Context(), store.NewAudits(w.db), o.options(true)); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("without Redis: %v", err)
		}
		o.counters.err, o.provider.err = nil, order.ErrUnavailable
		if _, err := audit.Run(t.Context(), store.NewAudits(w.db), o.options(true)); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("without the provider: %v", err)
		}
		o.provider.err = nil
		w.wants("a journal without entries", w.audit(o.options(true)), nil)
	})
}
