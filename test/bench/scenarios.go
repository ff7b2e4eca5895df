package main

// The names of the rows; docs/speed.md describes them.
const (
	rowBare       = "bare"
	rowSQL        = "sql_hot_row"
	rowBurst      = "accept_burst"
	rowBacklog    = "drain_backlog"
	rowMails      = "drain_backlog_mails"
	rowDraining   = "accept_draining"
	rowDurable    = "durable_half_load"
	rowSQLDurable = "sql_durability"
	rowSoldOut    = "sold_out"
	rowHot        = "hot_sku"
	rowMany       = "many_skus"
	rowLines      = "ten_lines"
	rowEmbedded   = "embedded"
	rowStart      = "start"
	rowStartServe = "start_serve"
	rowList       = "list_products"
	rowGet        = "get_product"
	rowWatchers   = "watchers_1000"

	rowTelemetryOff = "telemetry_off"
	rowTelemetryOn  = "telemetry_on"
)

// scenarios lists all measurements in their order.
func scenarios() []scenario {
	out := []scenario{
		{rows: []string{rowBare}, run: runBare, reference: true},
		{rows: []string{rowSQL}, run: runSQL, reference: true},
		{rows: []string{rowBurst, rowBacklog}, run: runBurst},
		{rows: []string{rowMails}, run: runMails},
		{rows: []string{rowDraining}, run: runDraining},
		{rows: []string{rowDurable}, run: runDurable, needsCapacity: true},
		{rows: []string{rowSQLDurable}, run: runSQLDurability},
		{rows: []string{rowSoldOut}, run: runSoldOut},
		{rows: []string{rowHot, rowMany}, run: runSKUs},
		{rows: []string{rowLines}, run: runLines},
		{rows: []string{rowEmbedded}, run: runEmbedded},
		{rows: []string{rowStart, rowStartServe}, run: runStart},
	}
	for _, percent := range openPercents {
		out = append(out, scenario{rows: []string{openRow(percent)}, run: runOpen(percent), needsCapacity: true})
	}
	return append(out,
		scenario{rows: []string{rowList, rowGet}, run: runReads},
		scenario{rows: []string{rowWatchers}, run: runWatchers},
		scenario{rows: []string{rowTelemetryOff, rowTelemetryOn}, run: runTelemetry},
	)
}
