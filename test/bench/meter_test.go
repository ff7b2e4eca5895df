package main

import (
	"testing"
	"time"

	"github.com/spillway/spillway/test/procfs"
)

// growingMeter is a meter of a process that used 40 ms of CPU, and of an SMTP server that took 10 mails, after the returned time.
func growingMeter(t *testing.T) (*meter, time.Time) {
	t.Helper()
	m := &meter{sampler: procfs.NewSampler()}
	t.Cleanup(m.close)
	begin := time.Now()
	for name, grown := range map[string]float64{nameServe: 40_000, counterMails: 10} {
		value := 0.0
		m.sampler.Counter(name, func() (float64, error) {
			defer func() { value = grown }()
			return value, nil
		})
	}
	return m, begin
}

func TestMeter_CPUPerOrder(t *testing.T) {
	t.Parallel()
	m, begin := growingMeter(t)
	to := begin.Add(time.Hour)
	if cpu := m.cpu(begin, to, 10); len(cpu) != 1 || cpu[nameServe] != 4000 {
		t.Errorf("CPU per order: %v, want 4000 µs of serve alone", cpu)
	}
	if got := m.mails(begin, to); got != 10.0/3600 {
		t.Errorf("%v mails per second, want 10 an hour", got)
	}
}

func TestCombined_Loads(t *testing.T) {
	t.Parallel()
	m, begin := growingMeter(t)
	idle := outcome{from: begin.Add(-time.Second), to: begin, latencies: []time.Duration{1, 2}}
	busy := outcome{from: begin, to: begin.Add(time.Hour), latencies: []time.Duration{3, 4}}
	line := combined(rowHot, m, []outcome{idle, busy})
	if line.Name != rowHot || line.PerSecond != 4.0/3601 || line.CPU[nameServe] != 10_000 || *line.P50 != ms(2) {
		t.Errorf("4 calls in an hour and a second, with 40 ms of CPU: %+v", line)
	}
}
