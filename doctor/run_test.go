package doctor

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestChecks_Table: names are unique, each check comes after those that it needs, and what it demands is a sentence.
func TestChecks_Table(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range Checks() {
		if group, thing, _ := strings.Cut(c.Name, "."); group == "" || thing == "" || seen[c.Name] {
			t.Errorf("%q: is no GROUP.THING, or there are two", c.Name)
		}
		for _, need := range c.needs {
			if !seen[need] && need != "shop.durability" {
				t.Errorf("%s needs %s, which comes later or not at all", c.Name, need)
			}
		}
		if !strings.HasSuffix(c.Demands, ".") || c.run == nil {
			t.Errorf("%s: demands %q", c.Name, c.Demands)
		}
		seen[c.Name] = true
	}
	if len(seen) < 25 {
		t.Errorf("there are %d checks", len(seen))
	}
}

// TestDocs_HaveEachCheck: docs/doctor.md has a line of each check, in the order of a report, and no other.
func TestDocs_HaveEachCheck(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, c := range Checks() {
		want = append(want, "| `"+c.Name+"` | "+c.Demands+" |")
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the table of docs/doctor.md is out of date; it must be:\n%s", strings.Join(want, "\n"))
	}
}

func result(r Result) func(context.Context, *session) Result {
	return func(context.Context, *session) Result { return r }
}

// TestRun_NoCascade: what needs a failed check is skipped with its name, and what needs an unused one runs.
func TestRun_NoCascade(t *testing.T) {
	t.Parallel()
	s := newSession(Config{})
	r := s.report(t.Context(), []Check{
		{"a.down", "", nil, result(fail("start it", "down"))},
		{"a.next", "", []string{"a.down"}, result(fail("", "must not run"))},
		{"a.last", "", []string{"a.next"}, result(fail("", "must not run"))},
		{"b.unused", "", nil, result(unused("nothing to check"))},
		{"b.next", "", []string{"b.unused"}, result(ok("ran"))},
	})
	var got []string
	for _, l := range r.Checks {
		got = append(got, string(l.Status)+" "+l.Found)
	}
	want := "fail down, skipped a.down failed, skipped a.next was skipped, skipped nothing to check, ok ran"
	if text := strings.Join(got, ", "); text != want || r.OK || r.Failed != 1 || r.Skipped != 3 || r.Passed != 1 {
		t.Errorf("got %s (%+v), want %s", text, r, want)
	}
}

// TestRun_BoundsChecks: at most maxParallel run at once, and one that never ends fails after its time.
func TestRun_BoundsChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSession(Config{})
		s.timeout = 200 * time.Millisecond
		var running, most atomic.Int32
		release := make(chan struct{})
		defer close(release)
		checks := []Check{{"a.hangs", "", nil, func(context.Context, *session) Result { <-release; return ok("") }}}
		for range 3 * maxParallel {
			checks = append(checks, Check{"b." + strings.Repeat("x", len(checks)), "", nil, func(context.Context, *session) Result {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				<-time.After(time.Millisecond)
				return ok("")
			}})
		}
		r := s.report(t.Context(), checks)
		if r.Checks[0].Status != Fail || !strings.Contains(r.Checks[0].Found, "no result within") || r.Passed != 3*maxParallel {
			t.Errorf("%+v", r)
		}
		if n := most.Load(); n > maxParallel {
			t.Errorf("%d checks ran at once", n)
		}
	})
}

// TestRun_CleansResults: no secret, and nothing that moves a cursor, is in a result.
func TestRun_CleansResults(t *testing.T) {
	t.Parallel()
	s := newSession(Config{Secrets: []string{"hunter2!", "a", ""}})
	r := s.report(t.Context(), []Check{{"a.b", "", nil, result(fail("use hunter2!", "password hunter2! in\x1b[2J\na line \u202e"))}})
	if l := r.Checks[0]; l.Fix != "use [secret]" || l.Found != "password [secret] in\ufffd[2J a line \ufffd" {
		t.Errorf("%q, fix %q", l.Found, l.Fix)
	}
}

// want runs one check and compares its status, and a part of what it found and of its fix.
func want(t *testing.T, s *session, name string, status Status, found, fix string) {
	t.Helper()
	for _, c := range Checks() {
		if c.Name != name {
			continue
		}
		r := s.bounded(t.Context(), c)
		if r.Status != status || !strings.Contains(r.Found, found) || !strings.Contains(r.Fix, fix) {
			t.Errorf("%s: %s, %q, fix %q; want %s with %q and %q", name, r.Status, r.Found, r.Fix, status, found, fix)
		}
		if (r.Status == Warn || r.Status == Fail) && (r.Fix == "" || strings.Contains(r.Fix, "\n")) {
			t.Errorf("%s: the fix is %q, not one line", name, r.Fix)
		}
		return
	}
	t.Fatalf("there is no check %s", name)
}
