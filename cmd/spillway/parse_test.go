package main

import (
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/alecthomas/kong"
)

// TestParse_AsKong: parse fills the same values and returns the same errors as kong's own Parse.
func TestParse_AsKong(t *testing.T) {
	emptyEnvironment(t)
	p := newBoth(t)
	for _, variable := range []string{"", "SPILLWAY_LOG_LEVEL=loud", "SPILLWAY_DURABILITY=paper", "SPILLWAY_PAY_WITHIN=x", "SPILLWAY_URL=http://shop"} {
		name, value, ok := strings.Cut(variable, "=")
		if ok {
			t.Setenv(name, value)
		}
		for _, line := range []string{
			"", "all", "sell", "ordes", "orders", "orders list", "orders show", "orders show A", "orders show A B", "orders refund A", "orders refund --reason r",
			"orders refund A --reason r", "orders list --state paid --state shipped", "orders list --state paid,sold", "orders list --state", "orders list -o json",
			"orders list -o xml", "all --no-such-flag", "all --log-level loud", "--log-level loud all", "--log-format", "all --pay-within x", "all --no-drain-yields",
			"all --drain-yields=false", "work --workers x", "work --workers relay", "durability", "durability sql", "durability paper", "completion", "completion tcsh",
			"completion bash", "dead-letters", "dead-letters edit", "dead-letters edit x", "dead-letters edit 1", "dead-letters edit 1 --file f --file g",
			"dead-letters replay", "dead-letters replay 1 2 3", "dead-letters discard 1 --reason r", "token", "token --customer x --role operator,service",
			"token --customer x --role king", "migrate", "migrate up extra", "version -- x", "load --rate x", "reference",
		} {
			p.asKong(t, variable, strings.Fields(line))
		}
		if ok {
			t.Setenv(name, "")
			_ = os.Unsetenv(name) // Setenv restores it.
		}
	}
}

// both is a parser for parse, and one for kong's Parse, each with what it fills.
type both struct {
	ours, kongs *kong.Kong
	got, want   cli
}

func newBoth(t *testing.T) *both {
	t.Helper()
	var b both
	var err1, err2 error
	b.ours, err1 = newParser(&b.got, io.Discard, io.Discard)
	b.kongs, err2 = newParser(&b.want, io.Discard, io.Discard)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &b
}

func (b *both) asKong(t *testing.T, variable string, args []string) {
	t.Helper()
	forget(b.ours.Model.Node)
	forget(b.kongs.Model.Node)
	_, _, gotErr := parse(b.ours, args)
	_, wantErr := b.kongs.Parse(args)
	if textOf(gotErr) != textOf(wantErr) {
		t.Errorf("%s %q:\n got %v\nwant %v", variable, args, gotErr, wantErr)
	}
	if wantErr == nil && !reflect.DeepEqual(b.got, b.want) {
		t.Errorf("%s %q:\n got %+v\nwant %+v", variable, args, b.got, b.want)
	}
}

var oneParser = sync.OnceValues(func() (*kong.Kong, *cli) {
	var c cli
	parser, err := newParser(&c, io.Discard, io.Discard)
	if err != nil {
		panic(err)
	}
	return parser, &c
})

// sharedParser returns a parser and what it fills. The tests share one: with the race detector a new one takes more than a second, and a parse some
// milliseconds. Tests that use it do not run in parallel.
func sharedParser() (*kong.Kong, *cli) {
	parser, c := oneParser()
	forget(parser.Model.Node)
	return parser, c
}

// forget lets a parser parse another command line: kong resets the values, and not what was set.
func forget(n *kong.Node) {
	n.Active = false
	for _, v := range n.Values() {
		v.Active, v.Set = false, false
	}
	for _, child := range n.Children {
		forget(child)
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestCommands_Run: every command can be run.
func TestCommands_Run(t *testing.T) {
	parser, _ := sharedParser()
	for _, leaf := range parser.Model.Leaves(false) {
		if _, ok := leaf.Target.Addr().Interface().(command); !ok {
			t.Errorf("%s has no method Run of command", leaf.FullPath())
		}
	}
}
