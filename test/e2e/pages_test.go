package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// pagesLimit bounds the tests of the pages, which take a minute on an idle machine.
const pagesLimit = 15 * time.Minute

// browsePaths runs the paths of orders through the pages (web/app/e2e/paths) with Chromium, on a shop with the storage that the flags name.
func browsePaths(t *testing.T, storage ...string) {
	t.Helper()
	app, err := filepath.Abs("../../web/app")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(app, "dist", "index.html")); err != nil {
		t.Fatalf("the program has no pages: run `make web` (%v)", err)
	}
	flags, err := json.Marshal(storage)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pagesLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, "vitest"), "run", "--config", "e2e/vitest.config.ts", "--reporter=verbose")
	cmd.Dir = app
	cmd.Env = append(os.Environ(), "SPILLWAY_TEST_BIN="+binary, "SPILLWAY_AUTH_KEY="+authKey, "SPILLWAY_E2E_STORAGE="+string(flags), "NO_COLOR=1")
	// Its workers, the shop and the browser end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = browserEnd
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the pages: %v\n%s", err, out)
	}
}
