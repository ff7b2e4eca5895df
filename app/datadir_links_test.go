package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestOpenDataDir_LinkedMailDirectory: mail may be a link to a directory elsewhere, by a user who could write to the data directory before it was closed. What is in
// that directory, such as /etc, keeps its modes.
func TestOpenDataDir_LinkedMailDirectory(t *testing.T) {
	root := t.TempDir()
	dir, elsewhere := filepath.Join(root, "data"), filepath.Join(root, "elsewhere")
	file := filepath.Join(elsewhere, "passwd")
	openForAll(t, dir, true)
	openForAll(t, elsewhere, true)
	openForAll(t, file, false)
	if err := os.Symlink(elsewhere, filepath.Join(dir, mailDir)); err != nil {
		t.Fatal(err)
	}
	if err := openDataDir(context.Background(), dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if mode(t, file) != 0o644 || mode(t, elsewhere) != 0o755 {
		t.Errorf("elsewhere: the file has the mode %o, the directory %o", mode(t, file), mode(t, elsewhere))
	}
}

// TestOpenDataDir_NameIsNoPattern: files are closed in a directory whose name has brackets, too.
func TestOpenDataDir_NameIsNoPattern(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop[1]")
	file := filepath.Join(dir, "spillway.db")
	openForAll(t, dir, true)
	openForAll(t, file, false)
	if err := openDataDir(context.Background(), dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, file); got != privateFile {
		t.Errorf("%s has the mode %o", file, got)
	}
}
