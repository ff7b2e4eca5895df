package reread_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/reread"
)

// watched is a value of a file, whose clock the test sets.
type watched struct {
	*reread.Value[string]

	t    *testing.T
	path string
	now  time.Time
	log  bytes.Buffer
}

var errEmpty = errors.New("it is empty")

func newWatched(t *testing.T, text string) *watched {
	t.Helper()
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "file"), now: time.Unix(1_800_000_000, 0)}
	w.write(text)
	var err error
	w.Value, err = reread.New(reread.Config[string]{
		What: "secret", Files: []string{w.path}, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: func() time.Time { return w.now },
		Read: func() (string, error) {
			text, err := os.ReadFile(w.path)
			if err == nil && len(text) == 0 {
				err = errEmpty
			}
			return string(text), err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// write replaces the file, as an administrator or Kubernetes does.
func (w *watched) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path+".next", []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.path+".next", w.path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) expect(want string) {
	w.t.Helper()
	if got := w.Get(); got != want {
		w.t.Errorf("%q, want %q", got, want)
	}
}

func TestValue_ReadAgainWhenTheFileChanges(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "one")
	w.expect("one")
	w.write("other")
	w.expect("one") // It looks at most once in an Interval.
	w.now = w.now.Add(reread.Interval)
	w.expect("other")
	if !strings.Contains(w.log.String(), "a file has changed and was read again") {
		t.Errorf("the log: %s", &w.log)
	}
}

// TestValue_UnusableFileLeavesTheOneBefore: a file that is half-written or gone changes nothing, and is logged once.
func TestValue_UnusableFileLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	w := newWatched(t, "one")
	spoil := map[string]func(){"empty": func() { w.write("") }, "gone": func() { _ = os.Remove(w.path) }}
	for name, spoil := range spoil {
		w.log.Reset()
		spoil()
		for range 3 {
			w.now = w.now.Add(reread.Interval)
			w.expect("one")
		}
		if n := strings.Count(w.log.String(), "failed to read a file again"); n != 1 {
			t.Errorf("%s: %d warnings, want 1: %s", name, n, &w.log)
		}
	}
	w.write("other")
	w.now = w.now.Add(reread.Interval)
	w.expect("other")
}

func TestNew_UnusableFile(t *testing.T) {
	t.Parallel()
	_, err := reread.New(reread.Config[string]{
		What: "secret", Files: []string{"there is none"}, Read: func() (string, error) { return "", errEmpty }, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if !errors.Is(err, errEmpty) {
		t.Error(err)
	}
}
