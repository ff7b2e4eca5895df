// Command spillway is the whole shop in one binary: `spillway all` runs everything in one process, `serve` and `work` a part
// of it, and the rest looks after the database.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/spillway/spillway/requestid"
)

// cli is the command line. Every flag may also be set by the environment variable that its help names.
type cli struct {
	Log logConfig `embed:"" prefix:"log-"`

	All        allCmd        `cmd:"" help:"Run everything in one process: the API and all workers. Needs nothing installed: SQLite and an in-process Redis are used unless --mysql, --redis and --rocketmq name external ones."`
	Serve      serveCmd      `cmd:"" help:"Run the API only, on external servers (--redis, --mysql)."`
	Work       workCmd       `cmd:"" help:"Run workers only, on external servers (--redis, --mysql, --rocketmq)."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database's tables up to date, or list what is pending."`
	Seed       seedCmd       `cmd:"" help:"Create the products of the demonstration catalogue in a database that never had products. Does nothing in any other."`
	Doctor     doctorCmd     `cmd:"" help:"Check a process's configuration, what it depends on, and the state of the shop, with a fix for each problem. Exit status 1 if a check failed."`
	Durability durabilityCmd `cmd:"" help:"Print what an answer promises in this shop, or change it while no process runs."`

	Orders      ordersCmd      `cmd:"" help:"List, show, cancel and refund orders, by the API."`
	DeadLetters deadLettersCmd `cmd:"" name:"dead-letters" help:"List, edit, replay and discard what the workers could not process, by the API."`

	Top   topCmd   `cmd:"" help:"Show how orders flow through the stages of a shop, once a second, by the API."`
	Audit auditCmd `cmd:"" help:"Check stock, money, states and shipments of every order. Exit status 3 if a rule is violated."`
	Token tokenCmd `cmd:"" help:"Mint a bearer token and print it."`
	Load  loadCmd  `cmd:"" help:"Send orders to a shop at a given rate, and check afterwards that none is lost, doubled or wrong. Exit status 3 if one is."`

	Ready      readyCmd      `cmd:"" help:"Check by its --admin address whether a process is ready: the health check of a container. Exit status 1 if it is not."`
	Version    versionCmd    `cmd:"" help:"Print the version, the revision that it was built from, and the version of Go."`
	Completion completionCmd `cmd:"" help:"Print a script that lets your shell complete commands, flags and their values."`
	Reference  referenceCmd  `cmd:"" hidden:"" help:"Print the reference of all settings, in Markdown."`
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

Start with "spillway all" and see README.md for the first order. "spillway COMMAND --help" has examples.

GOGC and GOMEMLIMIT set the garbage collector; the defaults are 400 and 512MiB, or
80 % of the container's memory if that is less.

Exit status: 0 success, 1 failure, 2 a mistake in the command line or a setting, 3 violations found by audit or load.`

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs a command line until it ends or a signal comes, and returns the exit status.
func execute(args []string, stdout, stderr io.Writer) int {
	ctx, stop := withSignals(context.Background(), stderr)
	defer stop()
	err := run(ctx, args, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "spillway:", err)
	}
	return exitStatus(err)
}

// newParser makes the parser of the command line.
func newParser(c *cli, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(c, kong.Name("spillway"), kong.Description(description), flagDefaults(),
		kong.Writers(stdout, stderr), kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c cli
	parser, err := newParser(&c, stdout, stderr)
	if err != nil {
		return err
	}
	if line, ok := completionLine(); ok {
		return completeLine(parser.Model.Node, line, stdout)
	}
	k, helped, err := parse(parser, customary(args))
	if err != nil || helped {
		return withHelp(usageError(missingValue(err)), k)
	}
	secretFiles, err := readSecrets(k)
	if err != nil {
		return withHelp(err, k)
	}
	selected, ok := k.Selected().Target.Addr().Interface().(command)
	if !ok {
		return fmt.Errorf("%s: is not implemented", k.Command())
	}
	return withHelp(selected.Run(ctx, environment{log: c.Log.logger(stderr), out: stdout, diagnostics: stderr, secretFiles: secretFiles}), k)
}

// customary returns the command that an empty line, or one that other programs understand, stands for.
func customary(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// missingValue replaces kong's text for a flag at the end of the line that needs a value.
func missingValue(err error) error {
	if err == nil {
		return nil
	}
	if flag, _, ok := strings.Cut(err.Error(), ": expected "); ok && strings.HasSuffix(err.Error(), `got "EOL" (<EOL>)`) {
		return fmt.Errorf("%s needs a value", flag)
	}
	return err
}

// withHelp lets a mistake in the command line point to the help of its subcommand.
func withHelp(err error, k *kong.Context) error {
	if exitStatus(err) != exitUsage {
		return err
	}
	name := k.Model.Name
	for _, p := range k.Path {
		if p.Command != nil {
			name += " " + p.Command.Name
		}
	}
	return fmt.Errorf("%w; see `%s --help`", err, name)
}
