// Command bench measures how many orders a second this machine takes, beside reference measurements: `make bench`.
//
// One run, on the real Redis, MySQL and RocketMQ, measures one after the other
//
//   - a bare Connect handler with a fixed response: the cost of HTTP, JSON and this load generator;
//   - the obvious way: one MySQL transaction per order on one hot row;
//   - PlaceOrder on one hot SKU of a `spillway all` on fresh data, with durability journal;
//   - the drain: the rate at which those orders become SHIPPED rows in MySQL, through RocketMQ.
//
// The ratios are the result. The absolute numbers belong to the machine, and the load generator runs on the same cores
// as the server. At the end the totals must be consistent: each accepted order is a SHIPPED row, and the stock fell by
// as many units. Otherwise, or when the drain did not finish in time, the exit status is 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type cli struct {
	Run  runCmd  `cmd:"" default:"withargs" help:"Measure, and print the table."`
	Bare bareCmd `cmd:"" hidden:"" help:"Serve the bare handler."`
}

const description = `Measures PlaceOrder and the drain on real servers, beside a bare handler and plain SQL.

The servers are named by SPILLWAY_TEST_REDIS, SPILLWAY_TEST_MYSQL and SPILLWAY_TEST_ROCKETMQ, which "make bench" sets.
Nothing else may use the topic meanwhile: another spillway would take its messages away.`

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
	Clients   int           `default:"64" help:"How many clients call at once, 1 to 100, each again as soon as it is answered."`
	DrainWait time.Duration `default:"3m" help:"How long to wait for the last accepted order to be SHIPPED, and as long again for its mail."`
	Topic     string        `default:"spillway-orders" help:"The topic of order events; it must exist in RocketMQ."`
	Output    string        `enum:"table,json" default:"table" help:"How to print: ${enum}."`
}

const (
	// maxSeconds is the maximum duration of one measurement: its latencies are kept in memory, and its orders in a
	// Redis of 512 MB.
	maxSeconds = 60
	// maxClients is below the maximum of MySQL's connections (151 by default), with room for the server's 32.
	maxClients = 100
)

func (c *runCmd) validate() error {
	var errs []error
	if c.Seconds < 1 || c.Seconds > maxSeconds {
		errs = append(errs, fmt.Errorf("--seconds %d: take 1 to %d", c.Seconds, maxSeconds))
	}
	if c.Clients < 1 || c.Clients > maxClients {
		errs = append(errs, fmt.Errorf("--clients %d: take 1 to %d", c.Clients, maxClients))
	}
	if c.DrainWait <= 0 {
		errs = append(errs, fmt.Errorf("--drain-wait %s: must be more than nothing", c.DrainWait))
	}
	return errors.Join(errs...)
}

// Run measures and prints. Everything that it started has ended when it returns.
func (c *runCmd) Run(ctx context.Context, out io.Writer) error {
	if err := c.validate(); err != nil {
		return err
	}
	s, err := openStage(ctx)
	if err != nil {
		return errors.Join(err, s.close())
	}
	r, err := c.measure(ctx, s)
	if r != nil {
		err = errors.Join(err, r.write(out, c.Output))
	}
	return errors.Join(err, s.close())
}

// measure runs all measurements. The report is nil when there is nothing to print.
func (c *runCmd) measure(ctx context.Context, s *stage) (*report, error) {
	l := load{clients: c.Clients, warmUp: warmUp, length: time.Duration(c.Seconds) * time.Second}
	progress("a bare handler ...")
	bare, err := measureBare(ctx, s, l)
	if err != nil {
		return nil, fmt.Errorf("the bare handler: %w", err)
	}
	progress("one SQL transaction an order ...")
	plain, err := measureSQL(ctx, s, l)
	if err != nil {
		return nil, fmt.Errorf("the SQL transactions: %w", err)
	}
	progress("PlaceOrder ...")
	shop, err := openShop(ctx, s, c.Topic)
	if err != nil {
		return nil, err
	}
	placed, err := shop.measure(ctx, l)
	if err != nil {
		shop.abandon(placed)
		return nil, fmt.Errorf("PlaceOrder: %w", err)
	}
	progress("the drain of %d orders ...", placed.accepted)
	drained, drainErr := shop.drain(ctx, placed, c.DrainWait)
	if ctx.Err() != nil {
		shop.abandon(placed)
		return nil, ctx.Err()
	}
	r := newReport(c, s, bare, plain, placed, drained)
	r.Totals, err = shop.compare(ctx, placed, drained)
	if drainErr == nil {
		r.note(shop.mails(ctx, placed, c.DrainWait))
	}
	r.note(shop.server.complaints())
	return r, errors.Join(drainErr, err)
}

// progress writes to stderr, so that stdout contains the result alone.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
