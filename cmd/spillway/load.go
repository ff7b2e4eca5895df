package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/load"
)

type loadCmd struct {
	URL         string        `name:"url" env:"SPILLWAY_URL" default:"http://127.0.0.1:8080" help:"Where the API is."`
	BoutiqueURL string        `name:"boutique-url" env:"SPILLWAY_BOUTIQUE_URL" default:"http://${boutique_listen}" help:"Where Online Boutique's interface is, for --scenario online-boutique."`
	Rate        float64       `default:"100" help:"How many orders (or visits) arrive a second, whether the shop keeps up or not."`
	Duration    time.Duration `default:"10s" help:"For how long they arrive."`
	Arrivals    string        `enum:"poisson,constant" default:"poisson" help:"poisson: at random, as customers do who do not know of each other; constant: at the same distance."`
	Scenario    string        `enum:"flash-sale,uniform,mixed,online-boutique" default:"uniform" help:"flash-sale: one unit of one SKU; uniform: one unit of any product; mixed: visits that browse, of which some fill a cart and fewer buy it; online-boutique: the pages of Online Boutique's front end, as often as its load generator visits them. Needs an operator's token, to read the orders."`
	SKU         string        `name:"sku" help:"The SKU of the flash sale."`
	Stock       int64         `help:"Create the SKU of the flash sale with so many units, under a fresh name if there is no --sku. Needs an operator's token."`
	Buyers      int           `help:"How many guests buy; 0 is as many as the rate needs."`
	MaxInFlight int           `default:"2000" help:"How many arrivals may be under way at once, waiting for a retry included. What arrives beyond is counted as not sent, rather than made to wait."`
	Retries     int           `default:"3" help:"How often an order that was shed or not answered is sent again with the same Idempotency-Key, after the delay in the retry hint (at most 5s)."`
	Card        string        `default:"4242424242424242" help:"The card that pays; see the README for those that fail."`
	Token       string        `env:"SPILLWAY_TOKEN" help:"An operator's bearer token, for --stock, for as many sessions as there are buyers, and for the audit at the end. Without it, one is made by --auth-key, or by the key in --data-dir."`
	TokenFile   string        `name:"token-file" env:"SPILLWAY_TOKEN_FILE" secret:"token" placeholder:"PATH" help:"A file that holds it."`
	Auth        authFlags     `embed:""`
	DataDir     string        `name:"data-dir" env:"SPILLWAY_DATA_DIR" help:"The data directory of a shop on embedded storage; its key signs an operator's token."`
	SettleWait  time.Duration `default:"60s" help:"How long to wait until the accepted orders are SHIPPED, and as long again until the audit is content."`
	Report      string        `placeholder:"FILE.html" help:"Write a report with plots: one page that needs no network."`
	Seed        uint64        `help:"Draw the same arrivals and visits again; 0 takes a fresh one, which the result names."`
	outputFlags
}

// Help is the end of the command's --help.
func (*loadCmd) Help() string {
	return `Exit status: 0 without a violation, or without a token for the audit, 1 if the load could not be done or checked, 3 if there are
violations. docs/design/load.md explains the numbers.

Examples:

    spillway load --rate 50 --duration 30s
    spillway load --data-dir data --scenario flash-sale --stock 500 --rate 200 --report sale.html
    spillway load --scenario mixed --token-file /run/secrets/token --output json`
}

// operatorTTL outlasts the longest load with its waiting.
const operatorTTL = 4 * 24 * time.Hour

// operator is the token for what a guest may not do; empty if there is none.
func (c *loadCmd) operator() (string, error) {
	if c.Token != "" || (c.Auth.Key == "" && c.DataDir == "") {
		return c.Token, nil
	}
	if c.Auth.Key == "" { // A load makes no key.
		if _, err := os.Stat(app.DevKey(c.DataDir)); err != nil {
			return "", fmt.Errorf("--data-dir: %w", err)
		}
	}
	token, err := c.Auth.operator(c.DataDir, "spillway-load", operatorTTL)
	if err != nil {
		return "", fmt.Errorf("--auth-key: %w", err)
	}
	return token, nil
}

func (c *loadCmd) config() (load.Config, error) {
	token, err := c.operator()
	cfg := load.Config{
		URL: c.URL, BoutiqueURL: c.BoutiqueURL, Rate: c.Rate, Duration: c.Duration, Arrivals: c.Arrivals, Scenario: c.Scenario, SKU: c.SKU, Stock: c.Stock,
		Buyers: c.Buyers, MaxInFlight: c.MaxInFlight, Retries: c.Retries, Card: c.Card, Token: token, SettleWait: c.SettleWait, Seed: c.Seed,
	}
	if err != nil {
		cfg.Token = "unreadable" // Said once is enough.
	}
	if c.Report != "" {
		if info, statErr := os.Stat(filepath.Dir(c.Report)); statErr != nil || !info.IsDir() {
			err = errors.Join(err, fmt.Errorf("--report %q: its folder does not exist", c.Report))
		}
	}
	return cfg, errors.Join(err, cfg.Validate())
}

var (
	errBroken     = errors.New("the check found violations")
	errNotChecked = errors.New("the check could not be done")
)

// Run sends the load, prints what came of it, and fails if the check finds violations. Its exit statuses are those of an audit, so
// that scripts can distinguish a shop with violations from a load that could not be checked.
func (c *loadCmd) Run(ctx context.Context, env environment) error {
	cfg, err := c.config()
	if err != nil {
		return usageError(err)
	}
	progress := &load.Progress{W: env.diagnostics, Terminal: isTerminal(env.diagnostics)}
	res, err := load.Run(ctx, cfg, dial(cfg), progress)
	if err != nil {
		return clientFlags{URL: cfg.URL}.explain(err)
	}
	if err := errors.Join(res.Write(env.out, c.Output), c.report(res)); err != nil {
		return err
	}
	switch res.Verdict() {
	case load.StatusViolated:
		return &exitError{exitViolated, errBroken}
	case load.StatusNotRun:
		return errNotChecked
	default:
		return nil
	}
}

// dial returns the client of the shop.
func dial(cfg load.Config) load.Shop {
	url := strings.TrimRight(cfg.URL, "/")
	if cfg.Scenario == load.OnlineBoutique {
		return load.DialBoutique(url, strings.TrimRight(cfg.BoutiqueURL, "/"), cfg.Token, cfg.MaxInFlight)
	}
	return load.Dial(url, cfg.MaxInFlight)
}

func (c *loadCmd) report(res *load.Result) error {
	if c.Report == "" {
		return nil
	}
	f, err := os.Create(c.Report)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return errors.Join(res.HTML(f), f.Close())
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
