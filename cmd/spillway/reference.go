package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// referenceCmd prints docs/configuration.md. It is hidden: `make generate` runs it, and a test compares the file.
type referenceCmd struct{}

// Help shows how it is used.
func (referenceCmd) Help() string {
	return `Examples:

    spillway reference`
}

// Run prints the reference.
func (referenceCmd) Run(_ context.Context, env environment) error {
	var c cli
	parser, err := newParser(&c, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	_, err = io.WriteString(env.out, reference(parser))
	return err
}

const referenceHead = `# Configuration

Every setting is a flag and, where the table names one, an environment variable; the flag wins. Durations are written as 500ms, 30s or
15m. A secret is better set in its variable or read from a file. This page is generated from the flags by ` + "`make generate`" + `.

The variables of the Go runtime work too: without ` + "`GOGC`, `spillway all`, `serve` and `work` let the heap grow to five times of what is live (`GOGC=400`)" + `,
and without ` + "`GOMEMLIMIT` up to 512 MiB (`GOMEMLIMIT=512MiB`)" + `, beyond which memory is collected more often, or up to 80 % of the container's
memory if that is less (control groups of either version).
`

// section is a table of the reference.
type section struct {
	title string
	flags []*kong.Flag
}

// reference returns a table of the settings of each group, which the processes of a shop share, and one of the other flags of each command.
func reference(parser *kong.Kong) string {
	var out strings.Builder
	out.WriteString(referenceHead)
	for _, s := range sectionsOf(parser) {
		fmt.Fprintf(&out, "\n## %s\n\n| flag | variable | default | |\n| --- | --- | --- | --- |\n", s.title)
		for _, f := range s.flags {
			fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", code("--"+f.Name), code(strings.Join(f.Envs, "`, `")), code(f.Default), cell(f.Help))
		}
	}
	return out.String()
}

// sectionsOf collects the flags by group, and those without one by command. A flag of the same name and help appears once.
func sectionsOf(parser *kong.Kong) []*section {
	sections := []*section{{title: "Every command"}}
	seen := make(map[string]bool)
	for _, grouped := range []bool{true, false} {
		for _, leaf := range parser.Model.Leaves(true) {
			for _, f := range slices.Concat(leaf.AllFlags(true)...) {
				key := f.Name + f.Help
				if f.Name == "help" || seen[key] || (f.Group != nil) != grouped {
					continue
				}
				seen[key] = true
				title := "`" + parser.Model.Name + " " + commandOf(leaf) + "`"
				switch {
				case grouped:
					title = f.Group.Title
				case slices.Contains(parser.Model.Flags, f):
					title = sections[0].title
				}
				sections = addFlag(sections, title, f)
			}
		}
	}
	return sections
}

// commandOf is the name of a command with those of its parents.
func commandOf(leaf *kong.Node) string {
	name := leaf.Name
	for n := leaf.Parent; n != nil && n.Type == kong.CommandNode; n = n.Parent {
		name = n.Name + " " + name
	}
	return name
}

func addFlag(sections []*section, title string, f *kong.Flag) []*section {
	for _, s := range sections {
		if s.title == title {
			s.flags = append(s.flags, f)
			return sections
		}
	}
	return append(sections, &section{title: title, flags: []*kong.Flag{f}})
}

// code formats a value for a cell; nothing for the empty one.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

// cell escapes what would end a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
