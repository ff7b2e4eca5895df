package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/doctor"
)

// doctorCmd has a subcommand for each role, with the flags of the role: the command line of a process with the word doctor before the role.
type doctorCmd struct {
	All   doctorAllCmd   `cmd:"" default:"withargs" help:"Diagnose what spillway all would run with these flags. The default."`
	Serve doctorServeCmd `cmd:"" help:"Diagnose what spillway serve would run with these flags."`
	Work  doctorWorkCmd  `cmd:"" help:"Diagnose what spillway work would run with these flags."`
}

// doctorFlags are those of the doctor itself.
type doctorFlags struct {
	outputFlags

	Strict bool `name:"strict" help:"Exit with status 1 also for warnings."`
}

type doctorAllCmd struct {
	allCmd
	doctorFlags
}

type doctorServeCmd struct {
	serveCmd
	doctorFlags
}

type doctorWorkCmd struct {
	workCmd
	doctorFlags
}

const doctorHelp = `It takes the flags and variables of spillway %[1]s, so put the word doctor into its command line. It reads and changes
nothing, so it may run at any time, also beside the shop. docs/doctor.md lists the checks.

Exit status: 0 if no check failed, 1 if one did (with --strict also for warnings), 2 for a mistake in the command line
or a setting.

Examples:

    spillway doctor %[1]s %[2]s
    spillway doctor %[1]s %[2]s --strict --output json`

// Help is the end of the command's --help.
func (*doctorAllCmd) Help() string { return fmt.Sprintf(doctorHelp, "all", "--data-dir data") }

// Help is the end of the command's --help.
func (*doctorServeCmd) Help() string {
	return fmt.Sprintf(doctorHelp, "serve", "--redis 10.0.0.5:6379 --mysql-file /run/secrets/mysql --auth-key-file /run/secrets/auth-key")
}

// Help is the end of the command's --help.
func (*doctorWorkCmd) Help() string {
	return fmt.Sprintf(doctorHelp, "work", "--redis 10.0.0.5:6379 --mysql-file /run/secrets/mysql --rocketmq 10.0.0.6:8081")
}

// Run diagnoses.
func (c *doctorAllCmd) Run(ctx context.Context, env environment) error {
	return c.diagnose(ctx, env, c.config())
}

// Run diagnoses.
func (c *doctorServeCmd) Run(ctx context.Context, env environment) error {
	return c.diagnose(ctx, env, c.config())
}

// Run diagnoses.
func (c *doctorWorkCmd) Run(ctx context.Context, env environment) error {
	return c.diagnose(ctx, env, c.config())
}

func (f doctorFlags) diagnose(ctx context.Context, env environment, cfg app.Config) error {
	if err := cfg.Validate(); err != nil {
		return usageError(err)
	}
	r, err := app.Diagnose(ctx, cfg, env.secretFiles)
	if err == nil {
		err = f.print(env.out, r)
	}
	switch {
	case err != nil:
		return err
	case r.Failed > 0:
		return fmt.Errorf("%d of %d checks failed", r.Failed, len(r.Checks))
	case f.Strict && r.Warnings > 0:
		return fmt.Errorf("%d of %d checks have warnings", r.Warnings, len(r.Checks))
	}
	return nil
}

func (f doctorFlags) print(out io.Writer, r doctor.Report) error {
	if f.json() {
		return printJSON(out, r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATUS\tCHECK\tFOUND")
	for _, l := range together(r.Checks) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Status, l.Name, l.Found)
		if l.Fix != "" {
			fmt.Fprintf(w, "\t\tfix: %s\n", l.Fix)
		}
	}
	fmt.Fprintf(w, "\n%d ok, %d warnings, %d failed, %d skipped\n", r.Passed, r.Warnings, r.Failed, r.Skipped)
	return w.Flush()
}

// together joins neighbours of one group that are skipped for one reason.
func together(lines []doctor.Line) (out []doctor.Line) {
	more := 0
	for i, l := range lines {
		if i > 0 && l.Status == doctor.Skipped && lines[i-1].Status == l.Status && lines[i-1].Found == l.Found && groupOf(lines[i-1]) == groupOf(l) {
			more++
			last := &out[len(out)-1]
			name, _, _ := strings.Cut(last.Name, " ")
			last.Name = fmt.Sprintf("%s and %d more", name, more)
			continue
		}
		more = 0
		out = append(out, l)
	}
	return out
}

func groupOf(l doctor.Line) string {
	group, _, _ := strings.Cut(l.Name, ".")
	return group
}
