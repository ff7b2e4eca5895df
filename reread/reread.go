// Package reread keeps what files hold, and reads them again when they change: a certificate or a token that is replaced needs no restart.
package reread

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Interval is the least time between two looks at the files.
const Interval = time.Second

// Config configures a Value.
type Config[T any] struct {
	// What names the value in the log, such as "certificate".
	What string
	// Files are those that Read reads.
	Files []string
	Read  func() (T, error)
	// Attrs are further keys and values of the log line about a new value; nil: none.
	Attrs func(T) []any
	Log   *slog.Logger
	// Now is time.Now.
	Now func() time.Time
}

// Value is what the files hold. It is safe for concurrent use.
type Value[T any] struct {
	cfg Config[T]

	mu      sync.Mutex
	current T
	files   []version // that current was read from, or that could not be used
	failed  bool      // the files could not be used; they are read at each look, because rights and mounts change without a new version
	looked  time.Time // zero before the first look
}

// version differs when a file was written, or replaced by way of a symbolic link.
type version struct {
	modified time.Time
	size     int64
}

// New reads the files. It returns the error of Read.
func New[T any](cfg Config[T]) (*Value[T], error) {
	v := &Value[T]{cfg: cfg}
	// Files that change while they are read differ from this version, and are read again.
	files, err := v.versions()
	current, rerr := cfg.Read()
	if rerr != nil {
		return nil, rerr
	}
	v.current, v.files = current, files
	return v, err
}

// Get returns the value. New files that cannot be used, such as half-written ones, leave the one before in use, and are logged once.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.cfg.Now()
	if now.Sub(v.looked) < Interval {
		return v.current
	}
	v.looked = now
	files, err := v.versions()
	if err == nil && !v.failed && same(files, v.files) {
		return v.current
	}
	next, rerr := v.cfg.Read()
	switch err = errors.Join(err, rerr); {
	case err == nil:
		v.current = next
		attrs := []any{"what", v.cfg.What, "file", v.cfg.Files[0]}
		if v.cfg.Attrs != nil {
			attrs = append(attrs, v.cfg.Attrs(next)...)
		}
		v.cfg.Log.InfoContext(context.Background(), "a file has changed and was read again", attrs...)
	case !v.failed || !same(files, v.files):
		v.cfg.Log.WarnContext(context.Background(), "failed to read a file again, what it was stays in use", "what", v.cfg.What, "file", v.cfg.Files[0], "error", err)
	}
	v.files, v.failed = files, err != nil
	return v.current
}

// versions returns the version of each file. One that is not there has the zero version.
func (v *Value[T]) versions() (out []version, err error) {
	out = make([]version, len(v.cfg.Files))
	for i, name := range v.cfg.Files {
		info, serr := os.Stat(name)
		if serr != nil {
			err = errors.Join(err, serr)
			continue
		}
		out[i] = version{info.ModTime(), info.Size()}
	}
	return out, err
}

func same(a, b []version) bool {
	for i := range a {
		if !a[i].modified.Equal(b[i].modified) || a[i].size != b[i].size {
			return false
		}
	}
	return true
}
