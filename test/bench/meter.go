package main

import (
	"context"
	"os"
	"time"

	"github.com/spillway/spillway/test/procfs"
)

// The names of the processes in the report.
const (
	nameServe  = "serve" // or all; in the row bare, the bare handler
	nameWork   = "work"
	nameRedis  = "redis"
	nameMySQL  = "mysqld"
	nameBroker = "broker"
	nameProxy  = "proxy"
	nameSMTP   = "smtp"
	nameOTLP   = "otlp"   // the sink of the rows telemetry_…
	nameClient = "client" // this process
)

// processNames are in the order of the table.
var processNames = []string{nameServe, nameWork, nameRedis, nameMySQL, nameBroker, nameProxy, nameSMTP, nameOTLP, nameClient}

// counterMails is the number of mails that the sink has taken.
const counterMails = "mails"

// meter samples the CPU time of all processes, and the number of mails, from its start on.
type meter struct{ sampler *procfs.Sampler }

// newMeter starts a meter of the real servers, the sink and this process. Close it.
func (r *run) newMeter() *meter {
	m := &meter{sampler: procfs.NewSampler()}
	for name, pid := range r.stage.servers {
		m.sampler.Process(name, pid)
	}
	m.sampler.Process(nameClient, os.Getpid())
	m.sampler.Process(nameSMTP, r.stage.sink.child.pid())
	m.sampler.Counter(counterMails, func() (float64, error) {
		n, err := r.stage.sink.count(context.Background())
		return float64(n.Mails), err
	})
	return m
}

// process adds a child.
func (m *meter) process(name string, c *child) { m.sampler.Process(name, c.pid()) }

func (m *meter) close() { m.sampler.Close() }

// cpu returns the CPU time in microseconds per order of each process that used any between the times.
func (m *meter) cpu(from, to time.Time, orders int) map[string]float64 {
	out := m.sampler.Growth(from, to)
	delete(out, counterMails)
	for name := range out {
		out[name] = ratio(out[name], float64(orders))
	}
	return out
}

// mails returns the mails per second that the sink took between the times.
func (m *meter) mails(from, to time.Time) float64 {
	return ratio(m.sampler.Growth(from, to)[counterMails], to.Sub(from).Seconds())
}
