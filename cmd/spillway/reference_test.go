package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestReference_IsCurrent: docs/configuration.md is what the flags are.
func TestReference_IsCurrent(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, stderr bytes.Buffer
	if status := execute([]string{"reference"}, &got, &stderr); status != 0 || got.String() != string(want) {
		t.Errorf("status %d, %s; docs/configuration.md is out of date: run make generate", status, &stderr)
	}
}

// TestReference_NamesEachSetting: flags that processes share and those of one command are in it, once each.
func TestReference_NamesEachSetting(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	execute([]string{"reference"}, &got, &got)
	for _, flag := range []string{"log-level", "redis-password-file", "unpaid-share", "max-paid-age", "idempotency-key"} {
		if n := strings.Count(got.String(), "| `--"+flag+"` |"); n != 1 {
			t.Errorf("--%s is listed %d times; want once", flag, n)
		}
	}
}
