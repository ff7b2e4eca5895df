package app

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mode reads the permissions of a file.
func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// openForAll makes a directory or a file that all users can use, whatever the umask is.
func openForAll(t *testing.T, path string, isDir bool) {
	t.Helper()
	var err error
	if isDir {
		err = os.MkdirAll(path, 0o700)
	} else {
		err = os.WriteFile(path, nil, 0o600)
	}
	mode := os.FileMode(0o644)
	if isDir {
		mode = 0o755
	}
	if err != nil || os.Chmod(path, mode) != nil {
		t.Fatal(path, err)
	}
}

// openShop opens and closes a shop on embedded storage in the data directory, and returns its log.
func openShop(t *testing.T, dir string) string {
	t.Helper()
	cfg := DefaultConfig(RoleAll)
	cfg.SQL.DataDir, cfg.HTTP.Listen, cfg.Admin.Listen = dir, "127.0.0.1:0", ""
	var log bytes.Buffer
	a, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	// With connections to the database, its journals exist.
	for _, name := range []string{"spillway.db", "spillway.db-wal", "spillway.db-shm", "spillway.lock", "auth.key"} {
		if got := mode(t, filepath.Join(dir, name)); got != privateFile {
			t.Errorf("%s has the mode %o", name, got)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	return log.String()
}

// TestOpen_ClosesDataDirectoryOfOlderVersion: what is open from before is closed, and the log says so once.
func TestOpen_ClosesDataDirectoryOfOlderVersion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	openShop(t, dir)
	if got := mode(t, dir); got != privateDir {
		t.Errorf("a new data directory has the mode %o", got)
	}
	mbox := filepath.Join(dir, mailDir, "mails.mbox")
	for path, isDir := range map[string]bool{
		dir: true, filepath.Dir(mbox): true, filepath.Join(dir, "spillway.db"): false, filepath.Join(dir, "auth.key"): false, mbox: false,
	} {
		if !isDir && path != mbox {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if isDir {
			openForAll(t, path, true)
		}
	}
	openForAll(t, mbox, false)
	if log := openShop(t, dir); strings.Count(log, "closed the shop's data to other users") != 5 {
		t.Errorf("the log: %s", log)
	}
	for path, want := range map[string]os.FileMode{dir: privateDir, filepath.Dir(mbox): privateDir, mbox: privateFile} {
		if got := mode(t, path); got != want {
			t.Errorf("%s has the mode %o", path, got)
		}
	}
	if log := openShop(t, dir); strings.Contains(log, "other users") {
		t.Errorf("the log of the next start: %s", log)
	}
}

// TestOpenDataDir_SharedDirectoryIsNotClosed: /var/lib or /tmp as a data directory must not be taken from all others.
func TestOpenDataDir_SharedDirectoryIsNotClosed(t *testing.T) {
	for name, share := range map[string]func(dir string) error{
		"with another directory": func(dir string) error { return os.Mkdir(filepath.Join(dir, "postgres"), 0o755) },
		"sticky":                 func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			openForAll(t, dir, true)
			if err := share(dir); err != nil {
				t.Fatal(err)
			}
			before := mode(t, dir)
			if log := openShop(t, dir); !strings.Contains(log, "name one of its own") {
				t.Errorf("the log: %s", log)
			}
			if got := mode(t, dir); got != before {
				t.Errorf("the directory has the mode %o, had %o", got, before)
			}
		})
	}
}

// TestOpenDataDir_LinksAreNotFollowed: a link among the files must not close a file elsewhere; one to the directory is an address.
func TestOpenDataDir_LinksAreNotFollowed(t *testing.T) {
	root := t.TempDir()
	dir, other, link := filepath.Join(root, "data"), filepath.Join(root, "other"), filepath.Join(root, "link")
	openForAll(t, dir, true)
	openForAll(t, other, false)
	if err1, err2 := os.Symlink(other, filepath.Join(dir, "spillway.db")), os.Symlink(dir, link); err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := openDataDir(context.Background(), link, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if mode(t, other) != 0o644 || mode(t, dir) != privateDir {
		t.Errorf("the file elsewhere has the mode %o, the directory %o", mode(t, other), mode(t, dir))
	}
}

// TestSimulatedFiles_AreClosed: what the provider took is not for others.
func TestSimulatedFiles_AreClosed(t *testing.T) {
	provider, carrier := filepath.Join(t.TempDir(), "provider.db"), filepath.Join(t.TempDir(), "carrier.db")
	p, err := ProviderConfig{File: provider}.open()
	if err != nil {
		t.Fatal(err)
	}
	c, err := CarrierConfig{File: carrier}.open()
	if err != nil {
		t.Fatal(err)
	}
	if mode(t, provider) != privateFile || mode(t, carrier) != privateFile {
		t.Errorf("provider %o, carrier %o", mode(t, provider), mode(t, carrier))
	}
	if err1, err2 := p.Close(), c.Close(); err1 != nil || err2 != nil {
		t.Error(err1, err2)
	}
}
