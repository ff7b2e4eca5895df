package audit

import (
	"context"

	"github.com/spillway/spillway/store"
)

// check calls report for each order or SKU that violates the rule, and returns the number of checked ones.
type check func(ctx context.Context, b *snapshot, report func(store.Violation)) (checked int64, err error)

// query makes a check of a query of the view.
func query(q func(v *store.AuditView, ctx context.Context, report func(store.Violation)) (int64, error)) check {
	return func(ctx context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
		return q(b.view, ctx, report)
	}
}

// rule is an invariant of the data.
type rule struct {
	name, description string
	check             check
	// needs reports whether the rule can be checked with the options; nil means always.
	needs func(o Options) bool
}

func needsDrained(o Options) bool  { return o.Drained }
func needsCounters(o Options) bool { return o.Drained && o.Counters != nil }
func needsProvider(o Options) bool { return o.Provider != nil }

// rules are all invariants. docs/design/audit.md describes each; a test plants a defect for each.
var rules = []rule{
	{"stock_adds_up", "Per SKU: adjustments = on hand + in orders that are not cancelled + returning from cancelled ones.", stockAddsUp, nil},
	{"stock_not_negative", "No SKU has a negative stock.", query((*store.AuditView).NegativeStock), nil},
	{"row_matches_journal", "An order's row has the units that its journal entries took from the stock.", rowMatchesJournal, nil},
	{"journal_applied_once", "The ranges of the journal that were applied follow each other up to the recorded offset.", journalAppliedOnce, nil},
	{"journal_has_no_gaps", "Between the ranges of the journal that were applied no entry is left out.", journalHasNoGaps, nil},
	{"epochs_are_drained", "Once drained, no closed epoch has a journal that is applied when its Redis is back.", epochsAreDrained, needsDrained},
	{"units_return_once", "An order's units return at most once, which is recorded, and only if the order was not paid.", unitsReturnOnce, nil},
	{
		"cancelled_gives_units_back",
		"The units of a CANCELLED order are back in stock, or a cancellation is about to return them.",
		query((*store.AuditView).CancelledWithoutReturn),
		nil,
	},
	{"counters_match_sql", "Once drained, the counters in Redis equal the stock in SQL.", countersMatchSQL, needsCounters},

	{"state_known", "Each order is in a known state.", query((*store.AuditView).UnknownStates), nil},
	{"state_is_not_overdue", "No order is PENDING long after it expired, or PAID for long without being shipped.", query((*store.AuditView).OverdueStates), nil},
	{"totals_add_up", "An order's total is its items and its shipping, and there are items.", query((*store.AuditView).TotalsThatDoNotAddUp), nil},
	{"items_have_order", "Items belong to an order.", query((*store.AuditView).ItemsWithoutOrder), nil},

	{
		"paid_is_charged_once",
		"Each PAID, SHIPPED or SHIP_FAILED order has a charge, which succeeded; only operators refund it, and all of it once it is SHIPPED.",
		query((*store.AuditView).UnchargedOrders),
		nil,
	},
	{"charge_is_total", "What was charged is the order's total, in its currency.", query((*store.AuditView).WrongAmounts), nil},
	{"charge_has_order", "Money is taken for orders that exist.", query((*store.AuditView).ChargesWithoutOrder), nil},
	{
		"pending_is_undecided",
		"A PENDING order's charge, if there is one, has no outcome yet; or its card was declined and another one can be tried.",
		query((*store.AuditView).DecidedAndPending),
		nil,
	},
	{"cancelled_is_refunded", "In the ledger, no CANCELLED order is charged without a full refund.", query((*store.AuditView).CancelledAndCharged), nil},
	{
		"refunds_within_charge",
		"Refunds sum to at most the charge; to all of it when that is REFUNDING or, all of them confirmed, REFUNDED.",
		query((*store.AuditView).RefundsBeyondCharges),
		nil,
	},
	{
		"refund_is_confirmed",
		"The provider confirms each refund in time; once drained, every refund is confirmed.",
		query((*store.AuditView).UnconfirmedRefunds),
		nil,
	},
	{"provider_matches_ledger", "What the provider took and refunded equals the ledger, order by order.", providerMatchesLedger, needsProvider},

	{"cancellation_cancels", "An order with a cancellation is CANCELLED.", query((*store.AuditView).IntentsOfLiving), nil},
	{"cancellation_gives_back_all", "A cancellation returns the units of its order.", cancellationGivesBackAll, nil},
	{"cancellation_is_complete", "A finished cancellation has returned units and money, and records how much.", query((*store.AuditView).IncompleteIntents), nil},
	{"cancellation_is_finished", "Each cancellation is finished in time; once drained, every one is.", query((*store.AuditView).UnfinishedIntents), nil},

	{"shipped_has_shipment", "Each SHIPPED order has a shipment.", query((*store.AuditView).ShippedWithoutShipment), nil},
	{"shipment_is_shipped", "Each shipment's order is SHIPPED.", query((*store.AuditView).ShipmentsOfOthers), nil},
	{"paid_has_mail", "The mails that a paid or SHIPPED order causes were sent, are due, or are dead letters.", query((*store.AuditView).MissingMails), nil},
	{
		"refund_has_mail",
		"The mail about a confirmed refund that an operator requested was sent, is due, or is a dead letter.",
		query((*store.AuditView).RefundsWithoutMail),
		nil,
	},
	{"cancelled_is_not_at_carrier", "No CANCELLED order was claimed for the carrier.", query((*store.AuditView).CancelledAtTheCarrier), nil},
}

// Rules returns the names of all rules, including those that need Redis or the provider.
func Rules() []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = r.name
	}
	return out
}
