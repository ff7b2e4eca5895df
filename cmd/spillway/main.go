// Command spillway is the whole shop in one binary: `spillway all` runs everything in one process, `serve` and `work` a part
// of it, and the rest looks after the database.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/spillway/spillway/requestid"
)

// cli is the command line. Every flag may also be set by the environment variable that its help names.
type cli struct {
	Log logConfig `embed:"" prefix:"log-"`

	All        allCmd        `cmd:"" help:"Run everything in one process: the API and all workers. Needs nothing installed: SQLite and an in-process Redis are used unless --mysql, --redis and --rocketmq name real ones."`
	Serve      serveCmd      `cmd:"" help:"Run the API only, on real parts (--redis, --mysql)."`
	Work       workCmd       `cmd:"" help:"Run workers only, on real parts (--redis, --mysql, --rocketmq)."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database's tables up to date, or say what is pending."`
	Seed       seedCmd       `cmd:"" help:"Create the products of the demonstration catalogue in a database that never had products. Does nothing in any other."`
	Durability durabilityCmd `cmd:"" help:"Print what an answer promises in this shop, or change it while no process runs."`

	Audit auditCmd `cmd:"" help:"Check that the books close: stock, money, states and shipments of every order."`
	Token tokenCmd `cmd:"" help:"Mint a bearer token and print it."`
	Load  loadCmd  `cmd:"" help:"Send a shop orders at a given rate, and then check that its books close. Exit status 1: they do not; 2: that could not be checked."`

	DeadLetters deadLettersCmd `cmd:"" name:"dead-letters" help:"Look at what no retry could help, and replay or discard it."`
}

type logConfig struct {
	Level  string `enum:"debug,info,warn,error" default:"info" env:"SPILLWAY_LOG_LEVEL" help:"How much to log: ${enum}."`
	Format string `enum:"text,json" default:"text" env:"SPILLWAY_LOG_FORMAT" help:"The form of the log: ${enum}."`
}

func (c logConfig) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // kong checked that it is one.
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(requestid.NewLogHandler(slog.NewJSONHandler(w, opts)))
	}
	return slog.New(requestid.NewLogHandler(slog.NewTextHandler(w, opts)))
}

const description = `Spillway takes orders when everybody orders at once, and sells nothing twice.

Start with "spillway all" and see README.md for the first order.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "spillway:", err)
		os.Exit(exitStatus(err))
	}
}

// exitError ends the process with a status of its own.
type exitError struct {
	status int
	err    error
}

// Error is the cause's text.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap lets errors.Is see the cause.
func (e *exitError) Unwrap() error { return e.err }

// exitStatus is 1 for errors that ask for no other.
func exitStatus(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.status
	}
	return 1
}

// exitUsage is the status of a command line that cannot be understood.
const exitUsage = 2

// errHelp ends a command that only printed its help.
var errHelp = errors.New("help was printed")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var c cli
	parser, err := kong.New(&c, kong.Name("spillway"), kong.Description(description), kong.UsageOnError(),
		flagDefaults(),
		kong.Writers(stdout, stderr), kong.Exit(func(int) { panic(errHelp) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}))
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); !ok || !errors.Is(e, errHelp) {
				panic(r)
			}
			err = nil
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("%w; see `spillway --help`", err)}
	}
	log := c.Log.logger(stderr)
	k.BindTo(ctx, (*context.Context)(nil))
	k.BindTo(stdout, (*io.Writer)(nil))
	k.Bind(log, errWriter{stderr})
	return k.Run()
}
