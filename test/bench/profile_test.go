package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProfiler_WritesFiles(t *testing.T) {
	t.Parallel()
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/pprof/profile" || r.URL.Query().Get("seconds") != "3" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("profile"))
	}))
	defer admin.Close()
	r := &run{cmd: &runCmd{Seconds: 3, Profiles: t.TempDir()}}
	p := profiler{run: r, build: &build{name: buildCurrent}, addrs: map[string]string{
		nameServe: strings.TrimPrefix(admin.URL, "http://"), nameWork: "127.0.0.1:1",
	}}
	p.start(t.Context(), rowBurst)
	p.wait()
	text, err := os.ReadFile(filepath.Join(r.cmd.Profiles, "accept_burst-current-serve.pprof"))
	if err != nil || string(text) != "profile" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if len(r.notes) != 1 || !strings.Contains(r.notes[0], "no profile of work in accept_burst") {
		t.Errorf("notes: %q", r.notes)
	}
}

func TestProfiler_NoDirectory(t *testing.T) {
	t.Parallel()
	p := profiler{run: &run{cmd: &runCmd{}}, addrs: map[string]string{}}
	if got := p.setting(nameServe); got != nil || len(p.addrs) != 0 {
		t.Errorf("settings %v without --profiles", got)
	}
}
