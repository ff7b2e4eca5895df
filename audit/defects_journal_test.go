package audit_test

// journalDefects are those of the epochs and the log of applied ranges.
var journalDefects = []defect{
	{name: "a range left out", breaks: []string{"DELETE FROM stock_dedup_log WHERE last_id = '1002-0'"}, drained: []string{"journal_has_no_gaps"}},
	{name: "the offset moved back", breaks: []string{"UPDATE stock_epochs SET last_id = '1002-0'"}, drained: []string{"journal_applied_once"}},
	{name: "the offset moved on", breaks: []string{"UPDATE stock_epochs SET last_id = '2000-0'"}, drained: []string{"journal_applied_once"}},
	{name: "the log deleted", breaks: []string{"DELETE FROM stock_dedup_log"}, drained: []string{"journal_applied_once"}},
	{name: "an epoch deleted", breaks: []string{"DELETE FROM stock_epochs"}, drained: []string{"journal_applied_once"}},
	{
		name:    "an epoch that waits for its Redis",
		breaks:  []string{"UPDATE stock_epochs SET undrained = 1, closed_at = " + stamp, newEpoch + "(0, 2, '', '0-0', " + stamp + ")"},
		drained: []string{"epochs_are_drained"}, running: []string{},
	},
	{name: "two epochs open", breaks: []string{newEpoch + "(0, 2, 'run2', '0-0', " + stamp + ")"}, drained: []string{"journal_applied_once"}},
	{name: "a range applied twice", breaks: []string{newRange + "(0, 1, '1003-1', '1004-0', 2, " + stamp + ")"}, drained: []string{"journal_applied_once"}},
	{
		name:    "a log that cannot be read",
		breaks:  []string{"UPDATE stock_dedup_log SET orders = 'nonsense' WHERE last_id = '1002-0'"},
		drained: []string{"journal_applied_once"},
	},
}
