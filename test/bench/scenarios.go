package main

// The names of the rows.
const (
	rowBare     = "bare"
	rowSQL      = "sql_hot_row"
	rowBurst    = "accept_burst"
	rowBacklog  = "drain_backlog"
	rowMails    = "drain_backlog_mails"
	rowDraining = "accept_draining"
)

// scenarios lists all measurements in their order.
func scenarios() []scenario {
	return []scenario{
		{rows: []string{rowBare}, run: runBare, reference: true},
		{rows: []string{rowSQL}, run: runSQL, reference: true},
		{rows: []string{rowBurst, rowBacklog}, run: runBurst},
		{rows: []string{rowMails}, run: runMails},
		{rows: []string{rowDraining}, run: runDraining},
	}
}
