package audit_test

import (
	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/order"
)

// externalDefects are defects of Redis and of the provider.
var externalDefects = []defect{
	// The provider. Recent movements of money may be ahead on either side.
	{
		name: "money that the provider took for an order that the ledger did not charge", breaks: []string{"UPDATE charges SET updated_at = " + old},
		external: func(o externalFixture) { o.line("declined", func(l *audit.StatementLine) { l.Taken = true }) },
		drained:  []string{"provider_matches_ledger declined"},
	},
	{
		name:     "money that the provider took just now",
		external: func(o externalFixture) { o.line("declined", func(l *audit.StatementLine) { l.Taken = true }) },
		drained:  []string{"provider_matches_ledger declined"}, running: []string{},
	},
	{
		name: "money that the ledger took and the provider did not", breaks: []string{"UPDATE charges SET updated_at = " + old},
		external: func(o externalFixture) {
			delete(o.provider.lines, o.ids["paid"])
			o.line("shipped", func(l *audit.StatementLine) { l.Taken = false })
		},
		drained: []string{"provider_matches_ledger paid", "provider_matches_ledger shipped"},
	},
	{
		name: "another amount at the provider", breaks: []string{"UPDATE charges SET updated_at = " + old},
		external: func(o externalFixture) { o.line("paid", func(l *audit.StatementLine) { l.Amount.Amount++ }) },
		drained:  []string{"provider_matches_ledger paid"},
	},
	{
		name: "a refund that the provider never made", breaks: []string{
			"UPDATE charges SET updated_at = " + old, "UPDATE refunds SET created_at = " + old + ", confirmed_at = " + old + " WHERE order_id = {refunded}",
		},
		external: func(o externalFixture) {
			o.line("refunded", func(l *audit.StatementLine) { l.Returned = 0 })
			o.line("failed", func(l *audit.StatementLine) { l.Returned = 0 }) // It was confirmed within the grace.
		},
		drained: []string{"provider_matches_ledger refunded", "provider_matches_ledger failed"}, running: []string{"provider_matches_ledger refunded"},
	},
	{
		name: "a refund that the ledger has not booked", breaks: []string{"UPDATE charges SET updated_at = " + old},
		external: func(o externalFixture) { o.line("paid", func(l *audit.StatementLine) { l.Returned = 1 }) },
		drained:  []string{"provider_matches_ledger paid"},
	},
	{
		name: "money that the provider took for nothing, long ago and just now",
		external: func(o externalFixture) {
			line := audit.StatementLine{Taken: true, Amount: order.Money{Currency: "EUR", Amount: 1}}
			o.provider.lines[o.ids["stranger"]], o.provider.lines[o.ids["nobody"]], o.provider.lines[o.ids["pending"]] = line, line, line
		},
		drained: []string{"provider_matches_ledger stranger", "provider_matches_ledger nobody", "provider_matches_ledger pending"},
		running: []string{"provider_matches_ledger stranger"},
	},
	{
		name: "money that the provider took for nothing and gave back, in part and in full", // As an operator does after a backup was restored.
		external: func(o externalFixture) {
			line := audit.StatementLine{Taken: true, Amount: order.Money{Currency: "EUR", Amount: 3}, Returned: 2}
			o.provider.lines[o.ids["stranger"]] = line
			line.Returned = 3
			o.provider.lines[o.ids["nobody"]] = line
		},
		drained: []string{"provider_matches_ledger stranger"},
	},

	// Redis, which is compared only when drained.
	{
		name: "a counter above SQL's stock", external: func(o externalFixture) { o.counters.Units["A"]++ },
		drained: []string{"counters_match_sql A"}, running: []string{},
	},
	{
		name: "a counter below SQL's stock, of a product without stock, and of none", external: func(o externalFixture) {
			o.counters.Units["B"], o.counters.Units["C"], o.counters.Units["D"] = 45, 1, 1
		},
		drained: []string{"counters_match_sql B", "counters_match_sql C", "counters_match_sql D"}, running: []string{},
	},
	{
		name: "a journal that SQL has not applied", external: func(o externalFixture) { o.counters.LastID, o.counters.Units["A"] = "9000-0", 1 },
		drained: []string{"counters_match_sql"}, running: []string{},
	},
	{
		name: "a Redis of another epoch", external: func(o externalFixture) { o.counters.Epoch, o.counters.Units["A"] = 2, 1 },
		drained: []string{"counters_match_sql"}, running: []string{},
	},
}
