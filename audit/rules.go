package audit

import (
	"context"

	"github.com/spillway/spillway/store"
)

// check calls flaw for each order or SKU that breaks the rule, and returns how many it looked at.
type check func(ctx context.Context, b *books, flaw func(store.Flaw)) (checked int64, err error)

// asks is a check that SQL can make by itself.
func asks(question func(v *store.AuditView, ctx context.Context, each func(store.Flaw)) (int64, error)) check {
	return func(ctx context.Context, b *books, flaw func(store.Flaw)) (int64, error) {
		return question(b.view, ctx, flaw)
	}
}

// rule is something that must be true.
type rule struct {
	name, description string
	check             check
	// needs says whether it can be checked; nil is always.
	needs func(o Options) bool
}

func needsCounters(o Options) bool { return o.Drained && o.Counters != nil }
func needsProvider(o Options) bool { return o.Provider != nil }

// rules are what must be true. docs/design/audit.md tells more of each; a test plants a defect for each.
var rules = []rule{
	{"stock_adds_up", "Per SKU: what came in = on hand + in orders that are not cancelled + on its way back from cancelled ones.", stockAddsUp, nil},
	{"stock_not_negative", "No SKU has less than nothing on hand.", asks((*store.AuditView).NegativeStock), nil},
	{"row_matches_journal", "An order's row has the units that its journal entries took from the stock.", rowMatchesJournal, nil},
	{"journal_applied_once", "The ranges of the journal that were applied follow each other up to the recorded place.", journalAppliedOnce, nil},
	{"journal_has_no_gaps", "Between the ranges of the journal that were applied no entry is left out.", journalHasNoGaps, nil},
	{"units_return_once", "An order's units return at most once, which is recorded, and only if nobody bought them.", unitsReturnOnce, nil},
	{"cancelled_gives_units_back", "The units of a CANCELLED order are back in stock, or a cancellation is about to return them.", asks((*store.AuditView).CancelledWithoutReturn), nil},
	{"counters_match_sql", "Once drained, Redis' counters are SQL's stock.", countersMatchSQL, needsCounters},

	{"state_known", "Each order is in one of the states that there are.", asks((*store.AuditView).UnknownStates), nil},
	{"state_is_not_overdue", "No order is PENDING long after it expired, or PAID for long without being shipped.", asks((*store.AuditView).OverdueStates), nil},
	{"totals_add_up", "An order's total is its items and its shipping, and there are items.", asks((*store.AuditView).TotalsThatDoNotAddUp), nil},
	{"items_have_order", "Items belong to an order.", asks((*store.AuditView).ItemsWithoutOrder), nil},

	{"paid_is_charged_once", "Each PAID, SHIPPED or SHIP_FAILED order has a charge, which succeeded; only operators refund it, and all of it once it is SHIPPED.", asks((*store.AuditView).UnchargedOrders), nil},
	{"charge_is_total", "What was charged is the order's total, in its currency.", asks((*store.AuditView).WrongAmounts), nil},
	{"charge_has_order", "Money is taken for orders that exist.", asks((*store.AuditView).ChargesWithoutOrder), nil},
	{"pending_is_undecided", "A PENDING order's charge, if there is one, has no outcome yet; or its card was declined and another one can be tried.", asks((*store.AuditView).DecidedAndPending), nil},
	{"cancelled_is_refunded", "The ledger says of each CANCELLED order that it was not charged, or that its money went back.", asks((*store.AuditView).CancelledAndCharged), nil},
	{"refunds_within_charge", "Refunds sum to at most the charge; to all of it when that is REFUNDING or, all of them confirmed, REFUNDED.", asks((*store.AuditView).RefundsBeyondCharges), nil},
	{"refund_is_confirmed", "The provider confirms each refund in time; once drained, every refund is confirmed.", asks((*store.AuditView).UnconfirmedRefunds), nil},
	{"provider_matches_ledger", "What the provider took and gave back is what the ledger says, order by order.", providerMatchesLedger, needsProvider},

	{"cancellation_cancels", "An order with a cancellation is CANCELLED.", asks((*store.AuditView).IntentsOfLiving), nil},
	{"cancellation_gives_back_all", "A cancellation gives back the units of its order.", cancellationGivesBackAll, nil},
	{"cancellation_is_complete", "A finished cancellation has given units and money back, and says how much.", asks((*store.AuditView).IncompleteIntents), nil},
	{"cancellation_is_finished", "Each cancellation is finished in time; once drained, every one is.", asks((*store.AuditView).UnfinishedIntents), nil},

	{"shipped_has_shipment", "Each SHIPPED order has a shipment.", asks((*store.AuditView).ShippedWithoutShipment), nil},
	{"shipment_is_shipped", "Each shipment's order is SHIPPED.", asks((*store.AuditView).ShipmentsOfOthers), nil},
	{"paid_has_mail", "The mails that a paid or SHIPPED order causes were sent, are due, or are dead letters.", asks((*store.AuditView).MissingMails), nil},
	{"cancelled_is_not_at_carrier", "No CANCELLED order was claimed for the carrier.", asks((*store.AuditView).CancelledAtTheCarrier), nil},
}

// Rules lists the names of the rules, those included that need more than SQL.
func Rules() []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = r.name
	}
	return out
}
