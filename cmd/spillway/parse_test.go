package main

import (
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestParse_AsKong: parse fills the same values and returns the same errors as kong's own Parse.
func TestParse_AsKong(t *testing.T) {
	emptyEnvironment(t)
	for _, variable := range []string{"", "SPILLWAY_LOG_LEVEL=loud", "SPILLWAY_DURABILITY=paper", "SPILLWAY_PAY_WITHIN=x", "SPILLWAY_URL=http://shop"} {
		name, value, ok := strings.Cut(variable, "=")
		if ok {
			t.Setenv(name, value)
		}
		for i, line := range []string{
			"", "all", "sell", "ordes", "orders", "orders list", "orders show", "orders show A", "orders show A B", "orders refund A", "orders refund --reason r",
			"orders refund A --reason r", "orders list --state paid --state shipped", "orders list --state paid,sold", "orders list --state", "orders list -o json",
			"orders list -o xml", "all --no-such-flag", "all --log-level loud", "--log-level loud all", "--log-format", "all --pay-within x", "all --no-drain-yields",
			"all --drain-yields=false", "work --workers x", "work --workers relay", "durability", "durability sql", "durability paper", "completion", "completion tcsh",
			"completion bash", "dead-letters", "dead-letters edit", "dead-letters edit x", "dead-letters edit 1", "dead-letters edit 1 --file f --file g",
			"dead-letters replay", "dead-letters replay 1 2 3", "dead-letters discard 1 --reason r", "token", "token --customer x --role operator,service",
			"token --customer x --role king", "migrate", "migrate up extra", "version -- x", "load --rate x", "reference",
		} {
			if i%parserSteps == 0 {
				asKong(t, variable, strings.Fields(line))
			}
		}
		if ok {
			t.Setenv(name, "")
			_ = os.Unsetenv(name) // Setenv restores it.
		}
	}
}

func asKong(t *testing.T, variable string, args []string) {
	t.Helper()
	var got, want cli
	_, _, gotErr := parse(parserOf(t, &got), args)
	_, wantErr := parserOf(t, &want).Parse(args)
	if textOf(gotErr) != textOf(wantErr) {
		t.Errorf("%s %q:\n got %v\nwant %v", variable, args, gotErr, wantErr)
	}
	if wantErr == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%s %q:\n got %+v\nwant %+v", variable, args, got, want)
	}
}

func parserOf(t *testing.T, c *cli) *kong.Kong {
	t.Helper()
	parser, err := newParser(c, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestCommands_Run: every command can be run.
func TestCommands_Run(t *testing.T) {
	t.Parallel()
	var c cli
	for _, leaf := range parserOf(t, &c).Model.Leaves(false) {
		if _, ok := leaf.Target.Addr().Interface().(command); !ok {
			t.Errorf("%s has no method Run of command", leaf.FullPath())
		}
	}
}
