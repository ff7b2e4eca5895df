package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// command is a command of the command line.
type command interface {
	Run(ctx context.Context, env environment) error
}

// environment is what commands write to.
type environment struct {
	log         *slog.Logger
	out         io.Writer
	diagnostics io.Writer
	// secretFiles are the files that secrets were read from, by flag.
	secretFiles map[string]string
}

// parse parses the arguments into the structure of the parser, or prints the help that they ask for and returns no context.
//
// It is kong's Parse without hooks: those, and kong's Run, look up methods by name, for which the linker keeps every exported method of every
// type, a third of the program (docs/design/start-and-size.md). TestParse_AsKong compares the two.
func parse(parser *kong.Kong, args []string) (k *kong.Context, helped bool, err error) {
	k, err = kong.Trace(parser, args)
	if err == nil {
		err = k.Error
	}
	if err != nil {
		return k, false, err
	}
	if slices.ContainsFunc(k.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag == parser.Model.HelpFlag }) {
		err = k.PrintUsage(false)
		return k, true, err
	}
	if err := k.Reset(); err != nil {
		return k, false, err
	}
	if _, err := k.Apply(); err != nil {
		return k, false, err
	}
	err = validate(k)
	return k, false, err
}

// validate returns an error for a value that is none of its enumeration, and for a missing flag, command or argument.
func validate(k *kong.Context) error {
	node := k.Model.Node
	var nodes []*kong.Node
	for _, p := range k.Path {
		if n := p.Node(); n != nil {
			node, nodes = n, append(nodes, n)
		}
	}
	for _, check := range []func(*kong.Node) error{checkEnums, checkFlags} {
		for _, n := range nodes {
			if err := check(n); err != nil {
				return err
			}
		}
	}
	return checkArguments(node)
}

// checkEnums checks the values that are given, have a default, or may be missing.
func checkEnums(n *kong.Node) error {
	for _, v := range n.Values() {
		if v.Enum == "" || v.Required && !v.HasDefault && !v.Set {
			continue
		}
		for _, value := range elements(v.Target) {
			text := fmt.Sprint(value)
			if !slices.Contains(v.EnumSlice(), text) {
				return fmt.Errorf("%s must be one of %s but got %q", v.ShortSummary(), strings.Join(quotedAll(v.EnumSlice()), ","), text)
			}
		}
	}
	return nil
}

// elements returns the elements of a slice, or the value itself.
func elements(v reflect.Value) []reflect.Value {
	if v.Kind() != reflect.Slice {
		return []reflect.Value{v}
	}
	var out []reflect.Value
	for i := range v.Len() {
		out = append(out, v.Index(i))
	}
	return out
}

func checkFlags(n *kong.Node) error {
	var missing []string
	for _, f := range n.Flags {
		if f.Required && !f.Set {
			missing = append(missing, f.Summary())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("missing flags: %s", strings.Join(missing, ", "))
}

// maxExpected bounds the commands that an error lists.
const maxExpected = 5

// checkArguments checks the last command's arguments, and that it needs no command after it.
func checkArguments(n *kong.Node) error {
	var missing, expected []string
	for _, arg := range n.Positional {
		if arg.Required && !arg.Set {
			missing = append(missing, arg.Summary())
		}
	}
	if len(missing) > 0 {
		expected = append(expected, strings.Join(missing, " "))
	}
	for _, child := range n.Children {
		if !child.Hidden {
			expected = append(expected, child.Name)
		}
	}
	list := quotedAll(expected)
	switch {
	case len(list) == 0:
		return nil
	case len(list) == 1:
		return fmt.Errorf("expected %s", list[0])
	case len(list) > maxExpected:
		list = append(list[:maxExpected], "...")
	}
	return fmt.Errorf("expected one of %s", strings.Join(list, ", "))
}

func quotedAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = strconv.Quote(text)
	}
	return out
}
