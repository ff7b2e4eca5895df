package main

import (
	"reflect"
	"testing"

	"github.com/spillway/spillway/app"
)

// parsed parses a command line as run does.
func parsed(t *testing.T, args ...string) *cli {
	t.Helper()
	parser, shared := sharedParser()
	if _, _, err := parse(parser, args); err != nil {
		t.Fatal(err)
	}
	c := *shared
	return &c
}

// TestFlags_DefaultsAreThoseOfApp: every setting has a flag that keeps its default.
func TestFlags_DefaultsAreThoseOfApp(t *testing.T) {
	all := parsed(t, "all")
	if got, want := all.All.config(), app.DefaultConfig(app.RoleAll); !reflect.DeepEqual(got, want) {
		t.Errorf("all:\n got %+v\nwant %+v", got, want)
	}
	serve := parsed(t, "serve")
	want := app.DefaultConfig(app.RoleServe)
	want.Queue = app.QueueConfig{} // It has none.
	if got := serve.Serve.config(); !reflect.DeepEqual(got, want) {
		t.Errorf("serve:\n got %+v\nwant %+v", got, want)
	}
	work := parsed(t, "work")
	want = app.DefaultConfig(app.RoleWork)
	want.HTTP = app.HTTPConfig{} // It has none.
	if got := work.Work.config(); !reflect.DeepEqual(got, want) {
		t.Errorf("work:\n got %+v\nwant %+v", got, want)
	}
}
