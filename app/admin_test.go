package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/spillway/spillway/app"
)

// get returns status and body of a page.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestAdmin_ServesMetricsProfilesAndReadiness(t *testing.T) {
	cfg := embedded(t)
	cfg.Admin.Listen = "127.0.0.1:0"
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	if status, _ := get(t, a.AdminURL()+"/livez"); status != http.StatusOK {
		t.Errorf("livez = %d although the process lives", status)
	}
	status, body := get(t, a.AdminURL()+"/readyz")
	var ready struct {
		Ready        bool
		Role         string
		Workers      []string
		Epoch        int64
		Dependencies map[string]struct {
			OK bool
			MS *float64
		}
		Breakers map[string]string
	}
	if err := json.Unmarshal([]byte(body), &ready); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if status != http.StatusOK || !ready.Ready || ready.Role != "all" || ready.Epoch == 0 || len(ready.Workers) == 0 || ready.Breakers["redis"] != "closed" {
		t.Errorf("%d: %s", status, body)
	}
	for _, name := range []string{"sql", "stock"} {
		if d := ready.Dependencies[name]; !d.OK || d.MS == nil {
			t.Errorf("%s: %s", name, body)
		}
	}
	for path, want := range map[string]string{
		"/metrics": "go_goroutines", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile", "/": "/metrics",
	} {
		if status, body := get(t, a.AdminURL()+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d without %q", path, status, want)
		}
	}
	// Secrets may be on the command line.
	if status, _ := get(t, a.AdminURL()+"/debug/pprof/cmdline"); status != http.StatusNotFound {
		t.Errorf("/debug/pprof/cmdline: %d", status)
	}
	// The API's port is the customers': it has none of these.
	if status, _ := get(t, a.URL()+"/metrics"); status != http.StatusNotFound {
		t.Errorf("the API's /metrics: %d", status)
	}
	url := a.AdminURL()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get(url); err == nil {
		resp.Body.Close()
		t.Error("the admin address is served after the end")
	}
}

// TestAdmin_ProfilesOnOtherAddresses: profiles show what is in memory, so that an address which other machines reach does not serve them unless
// that is configured.
func TestAdmin_ProfilesOnOtherAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		listen string
		pprof  bool
		want   int
	}{
		"loopback":                 {"127.0.0.1:0", false, http.StatusOK},
		"all addresses":            {"0.0.0.0:0", false, http.StatusNotFound},
		"all addresses, permitted": {"0.0.0.0:0", true, http.StatusOK},
	} {
		cfg := embedded(t)
		cfg.Admin = app.AdminConfig{Listen: c.listen, Pprof: c.pprof}
		a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
		_, port, err := net.SplitHostPort(strings.TrimPrefix(a.AdminURL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{
			"/metrics": http.StatusOK, "/debug/pprof/": c.want, "/debug/pprof/goroutine?debug=1": c.want, "/debug/pprof/symbol": c.want,
		} {
			if status, _ := get(t, "http://127.0.0.1:"+port+path); status != want {
				t.Errorf("%s: %s: %d; want %d", name, path, status, want)
			}
		}
		if _, index := get(t, "http://127.0.0.1:"+port+"/"); strings.Contains(index, "pprof") != (c.want == http.StatusOK) {
			t.Errorf("%s: the index is %q", name, index)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdmin_TakenPort(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var log bytes.Buffer
	cfg := embedded(t)
	cfg.Admin.Listen = taken.Addr().String()
	a, stop := start(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if a.AdminURL() != "" {
		t.Errorf("all serves %s", a.AdminURL())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "the admin address cannot be used") {
		t.Errorf("all did not log it: %s", &log)
	}
	cfg = app.DefaultConfig(app.RoleWork)
	cfg.SQL, cfg.Redis.Addr, cfg.Admin.Listen = app.SQLConfig{MySQL: "root@tcp(127.0.0.1:1)/none", DataDir: t.TempDir()}, "127.0.0.1:1", taken.Addr().String()
	if _, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--admin") {
		t.Errorf("work: %v", err)
	}
}
