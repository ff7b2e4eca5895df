package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// pageLimit bounds a page, from the start of its browser: that alone takes half a minute where all cores are busy.
	pageLimit = 5 * time.Minute
	// browserEnd bounds how long the killed browser's processes are waited for.
	browserEnd = 10 * time.Second
	// carrierTakes is how long an order stays PAID: a page that watches what it has just paid sees it so, or one of those that it buys after. The carrier may
	// take 5 s.
	carrierTakes = "3s"
)

// TestWatchOrder_InABrowser runs browser/page.ts in a real browser, on a page of another origin than the shop's, by Connect and
// by gRPC-Web.
func TestWatchOrder_InABrowser(t *testing.T) {
	script := bundle(t)
	allowed, foreign := newSite(t, script), newSite(t, script)
	s := embedded(t, "--cors-origin", allowed.URL, "--carrier-latency", carrierTakes)
	watches := map[string]any{
		"whole":    []any{"PAID", "SHIPPED", "end"},
		"resumed":  []any{"SHIPPED", "end"},
		"nonsense": []any{"InvalidArgument"},
		"others":   []any{"NotFound"},
		"live":     []any{"PENDING", "PAID", "Canceled"}, // by the page itself, which leaves
	}
	for name, c := range map[string]struct {
		site site
		want map[string]any
	}{
		"of an allowed origin":      {allowed, watches},
		"of any other gets nothing": {foreign, map[string]any{"failed": []any{"Unknown"}}}, // as a browser has it: no answer
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]any{"reached": "opaque", "connect": c.want, "grpcWeb": c.want}
			if got := c.site.visit(t, s.url); !reflect.DeepEqual(got, want) {
				t.Errorf("the page saw\n%v, want\n%v", got, want)
			}
		})
	}
}

// bundle makes one script of the page and all that it imports.
func bundle(t *testing.T) []byte {
	t.Helper()
	cmd := command(t, program(t, "esbuild"), "browser/page.ts", "--bundle", "--format=esm", "--target=es2022")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bundle the page: %v\n%s", err, stderr.String())
	}
	return out
}

// site is an origin of its own; its page reports to it.
type site struct {
	*httptest.Server
	reports chan []byte
}

func newSite(t *testing.T, script []byte) site {
	t.Helper()
	reports := make(chan []byte, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<!DOCTYPE html><meta charset="utf-8"><script type="module" src="/page.js"></script>`) // The page's loss.
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(script) // The same.
	})
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		if report, err := io.ReadAll(r.Body); err == nil {
			reports <- report
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return site{srv, reports}
}

// visit opens the page in a new browser, which buys and watches at the shop, and returns what it reports.
func (s site) visit(t *testing.T, shop string) (report map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pageLimit)
	defer cancel()
	var output bytes.Buffer
	cmd := browser(ctx, t, s.URL+"/?shop="+url.QueryEscape(shop))
	cmd.Stdout, cmd.Stderr = &output, &output
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	select {
	case raw := <-s.reports:
		cancel()
		<-ended
		if err := json.Unmarshal(raw, &report); err != nil {
			t.Errorf("the report %s: %v", raw, err)
		}
	case err := <-ended:
		t.Errorf("the page reported nothing within %s, or before its browser ended: %v", pageLimit, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the browser said:\n%s", tail(output.String(), 60))
		}
	})
	return report
}

// browser runs in a process group and a home of its own: all of it can be killed, and nothing is left.
func browser(ctx context.Context, t *testing.T, page string) *exec.Cmd {
	t.Helper()
	found, err := command(t, "../../deploy/native/chromium.sh", "find").CombinedOutput()
	if err != nil {
		t.Fatalf("%s", found)
	}
	home := shortDir(t)
	cmd := exec.CommandContext(ctx, strings.TrimSpace(string(found)),
		// As root there is no sandbox, and the page is ours. Containers have little /dev/shm.
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir="+home, "--enable-logging=stderr",
		// No word to anybody but the page's site and the shop.
		"--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", page)
	cmd.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = browserEnd
	return cmd
}

// shortDir is a temporary directory with a name that leaves room for the browser's socket, which t.TempDir does not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "page-") //nolint:usetesting // See above.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("the browser left something: %v", err)
		}
	})
	return dir
}
