package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReady_StatusOfTheProcess(t *testing.T) {
	emptyEnvironment(t)
	status := http.StatusOK
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("requested %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"dependencies":"sql"}`))
	}))
	address := strings.TrimPrefix(admin.URL, "http://")
	t.Setenv("SPILLWAY_ADMIN", address)
	if stdout, stderr, exit := spillway(t, "ready"); exit != exitOK || !strings.Contains(stdout, "sql") {
		t.Errorf("ready: exit status %d, %q, %q", exit, stdout, stderr)
	}
	status = http.StatusServiceUnavailable
	if stdout, _, exit := spillway(t, "ready"); exit != exitFailure || !strings.Contains(stdout, "sql") {
		t.Errorf("not ready: exit status %d, %q", exit, stdout)
	}
	admin.Close()
	if _, _, exit := spillway(t, "ready"); exit != exitFailure {
		t.Errorf("no process: exit status %d", exit)
	}
	if _, _, exit := spillway(t, "ready", "--admin", "9464"); exit != exitUsage {
		t.Errorf("no address: exit status %d", exit)
	}
}
