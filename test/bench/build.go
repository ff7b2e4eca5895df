package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// build is one binary of spillway: the one of this checkout, or the baseline that it is compared with.
type build struct {
	name   string
	binary string
	// flags are the names of the flags of each role, as its --help lists them.
	flags map[string]map[string]bool
}

// The names of the builds in the report.
const (
	buildCurrent  = "current"
	buildBaseline = "baseline"
)

// The roles of spillway that the benchmark starts.
const (
	roleServe = "serve"
	roleWork  = "work"
	roleAll   = "all"
	roleAudit = "audit"
)

// openBuild reads which flags the roles of the binary have.
func openBuild(ctx context.Context, name, binary string) (*build, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	b := &build{name: name, binary: path, flags: map[string]map[string]bool{}}
	for _, role := range []string{roleServe, roleWork, roleAll, roleAudit} {
		ctx, cancel := context.WithTimeout(ctx, commandTimeout)
		out, err := exec.CommandContext(ctx, path, role, "--help").Output()
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%s %s --help: %w", binary, role, err)
		}
		b.flags[role] = listedFlags(string(out))
	}
	return b, nil
}

// flagPattern matches a flag where a help text lists it: at the beginning of a line, perhaps behind a short form.
var flagPattern = regexp.MustCompile(`(?m)^\s*(?:-\w, )?--(?:\[no-\])?([a-z][a-z0-9-]*)`)

func listedFlags(help string) map[string]bool {
	out := map[string]bool{}
	for _, m := range flagPattern.FindAllStringSubmatch(help, -1) {
		out[m[1]] = true
	}
	return out
}

// has reports whether the role has the flag.
func (b *build) has(role, flag string) bool { return b.flags[role][flag] }

// args returns the role's command line with those of the settings ("flag=value") that this build knows: a baseline may be older.
func (b *build) args(role string, settings ...string) []string {
	out := []string{role}
	for _, s := range settings {
		if name, _, _ := strings.Cut(s, "="); b.has(role, name) {
			out = append(out, "--"+s)
		}
	}
	return out
}
