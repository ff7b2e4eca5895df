// Command bench measures how many orders a second this machine takes, and the CPU time of each process per order: `make bench`.
//
// It runs serve and work as separate processes on the real Redis, MySQL and RocketMQ, with mails to an SMTP server of its own, beside two
// reference measurements: a bare Connect handler, and one SQL transaction per order. docs/speed.md describes each row.
//
// The ratios and the CPU times are the result. The orders per second belong to the machine, and the load generator runs on the same cores
// as the servers. Each shop's totals must be consistent at its end (each accepted order is a SHIPPED row, and the stock fell by as many
// units), and its audit must find no violation. Otherwise, or when a drain did not finish in time, the exit status is 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type cli struct {
	Run  runCmd  `cmd:"" default:"withargs" help:"Measure, and print the table."`
	Bare bareCmd `cmd:"" hidden:"" help:"Serve the bare handler."`
	Sink sinkCmd `cmd:"" hidden:"" help:"Count mails."`
	OTLP otlpCmd `cmd:"" name:"otlp" hidden:"" help:"Count spans."`
}

const description = `Measures orders per second and CPU time per order on real servers, beside a bare handler and plain SQL.

The servers are named by SPILLWAY_TEST_REDIS, SPILLWAY_TEST_MYSQL and SPILLWAY_TEST_ROCKETMQ, which "make bench" sets.
Nothing else may use the servers meanwhile: their CPU time and statements are counted, and another spillway on the topic
would take its messages away. docs/speed.md describes the rows and how to read them.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var c cli
	k := kong.Parse(&c, kong.Name("bench"), kong.Description(description))
	k.BindTo(ctx, (*context.Context)(nil))
	k.BindTo(os.Stdout, (*io.Writer)(nil))
	err := k.Run()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type runCmd struct {
	Seconds   int           `default:"5" help:"How many seconds each measurement takes, 1 to 60, after a warm-up."`
	Clients   int           `default:"64" help:"How many clients call at once, 1 to 100, each again as soon as it has a response."`
	Rows      []string      `help:"Which rows to measure, such as accept_burst,drain_backlog; all if empty. Rows that these are compared with are measured as well."`
	Baseline  string        `placeholder:"BINARY" help:"Another build of spillway to compare with: the two are measured by turns."`
	Rounds    int           `default:"0" help:"How often each row is measured, 1 to 20; the report has the medians. 0 is 3 with --baseline, otherwise 1."`
	SKUs      int           `name:"skus" default:"10000" help:"How many products the row many_skus has."`
	DrainWait time.Duration `default:"3m" help:"How long to wait for the last accepted order to be SHIPPED, and as long again for its mail."`
	Topic     string        `default:"spillway-orders" help:"The topic of order events; it must exist in RocketMQ."`
	Logs      string        `type:"existingdir" placeholder:"DIR" help:"Where to keep the logs of the processes, which are deleted otherwise."`
	Profiles  string        `type:"existingdir" placeholder:"DIR" help:"Where to write CPU profiles of serve and work, for the rows of the burst, the drain and both together. Profiling itself costs some percent."`
	Output    string        `enum:"table,json" default:"table" help:"How to print: ${enum}."`
}

const (
	// maxSeconds is the maximum duration of one measurement: its latencies are kept in memory, and its orders in a
	// Redis of 512 MB.
	maxSeconds = 60
	// maxClients is below the maximum of MySQL's connections (151 by default), with room for the server's 32.
	maxClients = 100
	// maxRounds bounds a run of all rows to some hours.
	maxRounds = 20
	// maxSKUs is far above a shop's hot products; creating them takes about a millisecond each.
	maxSKUs = 100_000
	// defaultRounds is the number of rounds with a baseline: the least with a median between two others.
	defaultRounds = 3
)

func (c *runCmd) validate() error {
	var errs []error
	for _, n := range []struct {
		flag               string
		value, least, most int
	}{
		{"seconds", c.Seconds, 1, maxSeconds},
		{"clients", c.Clients, 1, maxClients},
		{"rounds", c.Rounds, 0, maxRounds},
		{"skus", c.SKUs, 1, maxSKUs},
	} {
		if n.value < n.least || n.value > n.most {
			errs = append(errs, fmt.Errorf("--%s %d: take %d to %d", n.flag, n.value, n.least, n.most))
		}
	}
	if c.DrainWait <= 0 {
		errs = append(errs, fmt.Errorf("--drain-wait %s: must be more than nothing", c.DrainWait))
	}
	for _, name := range c.Rows {
		if !slices.Contains(rowNames(), name) {
			errs = append(errs, fmt.Errorf("--rows %s: there is no such row; take some of %v", name, rowNames()))
		}
	}
	return errors.Join(errs...)
}

// rounds is the number of rounds.
func (c *runCmd) rounds() int {
	switch {
	case c.Rounds > 0:
		return c.Rounds
	case c.Baseline != "":
		return defaultRounds
	}
	return 1
}

// Run measures and prints. Everything that it started has ended when it returns.
func (c *runCmd) Run(ctx context.Context, out io.Writer) error {
	if err := c.validate(); err != nil {
		return err
	}
	s, err := openStage(ctx, c)
	if err != nil {
		return errors.Join(err, s.close())
	}
	r := &run{cmd: c, stage: s, capacity: map[string]float64{}}
	err = r.measure(ctx, choose(c.Rows))
	if len(r.results) > 0 {
		err = errors.Join(err, newReport(r).write(out, c.Output))
	}
	return errors.Join(err, s.close())
}

// progress writes to stderr, so that stdout contains the result alone.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
