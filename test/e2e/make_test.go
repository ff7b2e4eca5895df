package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMake_NodeModulesIsASymlink: `npm ci` empties the directory that the link points to, which is another checkout's. Make refuses to run it.
func TestMake_NodeModulesIsASymlink(t *testing.T) {
	dir, others := t.TempDir(), t.TempDir()
	for _, name := range []string{"Makefile", "package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, filepath.Join(dir, name), string(data), 0o600)
	}
	called := filepath.Join(dir, "called")
	mustWrite(t, filepath.Join(dir, ".bin", "npm"), "#!/bin/sh\ntouch '"+called+"'\nmkdir -p node_modules/.bin\ntouch node_modules/.bin/buf\n", 0o700)
	link := filepath.Join(dir, "node_modules")
	if err := os.Symlink(others, link); err != nil {
		t.Fatal(err)
	}
	install := func() (string, error) {
		out, err := exec.Command("make", "-C", dir, "node_modules/.bin/buf").CombinedOutput()
		return string(out), err
	}
	out, err := install()
	if err == nil || !strings.Contains(out, "node_modules is a symbolic link") {
		t.Errorf("make: %s (%v); want it to refuse", out, err)
	}
	if _, err := os.Stat(called); !os.IsNotExist(err) {
		t.Errorf("npm was called (%v)", err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	out, err = install()
	if _, statErr := os.Stat(called); err != nil || statErr != nil {
		t.Errorf("make without the link: %s (%v); npm was not called (%v)", out, err, statErr)
	}
}

func mustWrite(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
