package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/auth"
)

const (
	// initialStock is more than any run can sell: a minute of 100,000 orders a second, far above the rate of a single
	// SQL row.
	initialStock = 6_000_000
	// maxGuests is the number of customers; more than clients, as in a shop.
	maxGuests = 1000
	// tokenTTL is longer than every run.
	tokenTTL    = 24 * time.Hour
	productName = "thing"
)

// shop is one deployment of a build on fresh data: a serve process, and a work process while a row needs it.
type shop struct {
	run       *run
	build     *build
	db        *database
	namespace string
	key       string
	tokens    []string
	serve     *child
	work      *child // nil when it does not run
	observed  *child // a second serve process, with telemetry; nil in most rows
	meter     *meter
	profiles  *profiler
	settings  []string
	stock     map[string]int // the initial stock of each product
	placed    outcome        // all orders, only accepted and errors are summed
	mailsSeen int            // by the sink before this shop
}

// openShop creates the data and starts serve. The extra settings are those of both roles.
func (r *run) openShop(ctx context.Context, b *build, extra ...string) (_ *shop, err error) {
	s := &shop{
		run: r, build: b, namespace: "bench-" + strings.ToLower(rand.Text()), key: rand.Text() + rand.Text(), stock: map[string]int{},
		placed: outcome{errors: map[string]int{}}, meter: r.newMeter(), profiles: &profiler{run: r, build: b, addrs: map[string]string{}},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.settings = append([]string{
		"redis=" + r.stage.redis, "rocketmq=" + r.stage.rocketmq, "topic=" + r.stage.topic, "redis-namespace=" + s.namespace,
		"customer-orders=0", "customer-reads=1000000000", "customer-writes=1000000000", "mail-recipient-limit=1000000000", "units-window=0s", "drain-timeout=5s",
	}, r.stage.sink.settings()...)
	s.settings = append(s.settings, extra...)
	count, err := r.stage.sink.count(ctx)
	if err != nil {
		return s, err
	}
	s.mailsSeen = count.Mails
	if s.tokens, err = guests(s.key); err != nil {
		return s, err
	}
	if s.db, err = openDatabase(ctx, s.namespace); err != nil {
		return s, err
	}
	if err := r.stage.command(ctx, commandTimeout, r.stage.dir, s.environment(), b.binary, "migrate", "up"); err != nil {
		return s, err
	}
	err = s.startServe(ctx)
	return s, err
}

// environment has what must not be on a command line.
func (s *shop) environment() []string {
	return []string{"SPILLWAY_AUTH_KEY=" + s.key, "SPILLWAY_MYSQL=" + s.db.dsn}
}

func (s *shop) startServe(ctx context.Context) (err error) {
	stage := s.run.stage
	s.serve, err = stage.start(ctx, s.build.name+"-serve", s.build.binary, stage.environment(s.environment()...),
		s.build.args(roleServe, append(s.profiles.setting(nameServe), s.settings...)...)...)
	if err == nil {
		s.meter.process(nameServe, s.serve)
	}
	return err
}

// startWork starts the workers, which drain at once. The extra settings come after those of the shop.
func (s *shop) startWork(extra ...string) (err error) {
	stage := s.run.stage
	s.work, err = stage.spawn(s.build.name+"-work", s.build.binary, stage.environment(s.environment()...),
		s.build.args(roleWork, slices.Concat(s.settings, s.profiles.setting(nameWork), extra)...)...)
	if err == nil {
		s.meter.process(nameWork, s.work)
	}
	return err
}

// placeOrders runs the load on the orders, and remembers what was accepted.
func (s *shop) placeOrders(ctx context.Context, l load, bodies []string) (outcome, error) {
	o, err := l.run(ctx, shoppers(s.serve.addr, s.tokens, bodies))
	s.add(o)
	return o, err
}

// placeEach places one order of each body, one after the other, without measuring them.
func (s *shop) placeEach(ctx context.Context, bodies []string) error {
	client := shoppers(s.serve.addr, s.tokens, bodies)(0)
	defer client.close()
	for range bodies {
		if code := client.call(ctx); code != "" {
			return fmt.Errorf("place an order before the measurement: %s", code)
		}
		s.placed.accepted++
	}
	return nil
}

// add remembers accepted orders.
func (s *shop) add(o outcome) {
	s.placed.accepted += o.accepted
	for code, n := range o.errors {
		s.placed.errors[code] += n
	}
}

// close stops the shop's processes and removes its data.
func (s *shop) close() error {
	var errs []error
	for _, c := range []*child{s.serve, s.work, s.observed} {
		if c != nil {
			errs = append(errs, c.stop())
			s.run.note(c.complaints())
		}
	}
	s.meter.close()
	if s.db != nil {
		errs = append(errs, s.db.drop(), deleteKeys(s.run.stage.redis, s.namespace))
	}
	return errors.Join(errs...)
}

// newSKU returns a name that no earlier run has used: its messages may still be in the topic.
func newSKU() string { return "BENCH" + rand.Text()[:10] }

// guests mints the tokens of the customers.
func guests(key string) ([]string, error) {
	out := make([]string, maxGuests)
	for i := range out {
		var err error
		if out[i], err = mint(key, auth.Caller{Customer: auth.NewGuest()}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func mint(key string, who auth.Caller) (string, error) {
	tokens, err := auth.NewTokens([]byte(key))
	if err != nil {
		return "", err
	}
	token, _, err := tokens.Mint(who, tokenTTL)
	return token, err
}
