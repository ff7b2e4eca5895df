package main

import (
	"time"
)

// row is one measurement. Latencies are those of successful calls; a drain has none.
type row struct {
	Name        string   `json:"name"`
	PerSecond   float64  `json:"per_second"`
	RatioToBare float64  `json:"ratio_to_bare"`
	RatioToSQL  float64  `json:"ratio_to_sql"`
	P50         *float64 `json:"p50_ms,omitempty"`
	P99         *float64 `json:"p99_ms,omitempty"`
	// CPU is the CPU time per order (or other call of the row) of each process, in microseconds.
	CPU map[string]float64 `json:"cpu_us_per_order"`
	// Mail is what happens with mails while the row is measured: one of the constants below; empty if no worker runs.
	Mail string `json:"mail,omitempty"`

	MailsPerSecond *float64 `json:"mails_per_second,omitempty"`
	// MailsAfter is the rate of the mails that were sent after the row's last order.
	MailsAfter     *float64 `json:"mails_per_second_afterwards,omitempty"`
	SQLPerOrder    *float64 `json:"sql_statements_per_order,omitempty"`
	FsyncsPerOrder *float64 `json:"log_fsyncs_per_order,omitempty"`
	ShippedShare   *float64 `json:"shipped_share,omitempty"` // of the accepted orders, when the load stopped
	OfferedPerSec  *float64 `json:"offered_per_second,omitempty"`
	// GoodputShare is the rate of an open loop to the build's capacity: that of the closed loop of accept_draining.
	GoodputShare *float64 `json:"goodput_to_capacity,omitempty"`
	// P99ToHalf is p99_ms of an open loop to that of open_50.
	P99ToHalf *float64 `json:"p99_to_half_load,omitempty"`
	// RefusedP50 and RefusedP99 are the latencies of the calls that were refused.
	RefusedP50  *float64 `json:"refused_p50_ms,omitempty"`
	RefusedP99  *float64 `json:"refused_p99_ms,omitempty"`
	ShippedP50  *float64 `json:"shipped_p50_ms,omitempty"` // from the call to SHIPPED
	ShippedP99  *float64 `json:"shipped_p99_ms,omitempty"`
	ResponseP50 *float64 `json:"response_p50_ms,omitempty"` // where p50_ms is not that of the response
	ResponseP99 *float64 `json:"response_p99_ms,omitempty"`
	EventP99    *float64 `json:"event_p99_ms,omitempty"` // from a change to the watchers' event
	// RatioToOff is per_second divided by that of telemetry_off, and SpansPerOrder the exported spans.
	RatioToOff    *float64       `json:"ratio_to_telemetry_off,omitempty"`
	SpansPerOrder *float64       `json:"spans_per_order,omitempty"`
	Errors        map[string]int `json:"errors,omitempty"`
}

// Values of row.Mail. All mails go to the SMTP sink.
const (
	mailYields = "yields to orders"
	mailInStep = "in step"
)

// measured is the row of a load.
func measured(name string, o outcome) row {
	r := row{Name: name, PerSecond: o.perSecond, Errors: o.errors}
	r.P50, r.P99 = percentiles(o.latencies)
	return r
}

// percentiles returns the median and the 99th percentile of sorted latencies, in milliseconds.
func percentiles(sorted []time.Duration) (p50, p99 *float64) {
	return ptr(ms(percentile(sorted, 50))), ptr(ms(percentile(sorted, 99)))
}

// withCPU adds the CPU time per successful call of the load.
func (r row) withCPU(m *meter, o outcome) row {
	r.CPU = m.cpu(o.from, o.to, o.measured())
	return r
}

func ptr(f float64) *float64 { return &f }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
