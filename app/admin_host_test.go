package app_test

import (
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/spillway/spillway/app"
)

// TestAdmin_HostOfRequests: a page whose name resolves to 127.0.0.1 reads nothing from a loopback admin address.
func TestAdmin_HostOfRequests(t *testing.T) {
	cfg := embedded(t)
	cfg.Admin.Listen = "127.0.0.1:0"
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	for host, want := range map[string]int{
		"": http.StatusOK, "localhost": http.StatusOK, "LOCALHOST:9464": http.StatusOK, "localhost.": http.StatusOK, "shop.localhost:80": http.StatusOK,
		"127.0.0.1": http.StatusOK, "127.0.0.9:9464": http.StatusOK, "[::1]:9464": http.StatusOK, "[::1]": http.StatusOK,
		"evil.example": http.StatusMisdirectedRequest, "evil.example:9464": http.StatusMisdirectedRequest,
		"localhost.evil.example": http.StatusMisdirectedRequest, "notlocalhost": http.StatusMisdirectedRequest,
		"127.0.0.1.evil.example": http.StatusMisdirectedRequest, "10.0.0.5:9464": http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/", "/metrics", "/readyz", "/debug/pprof/"} {
			if got := statusWithHost(t, a.AdminURL()+path, host); got != want {
				t.Errorf("Host %q, %s: %d; want %d", host, path, got, want)
			}
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestAdmin_HostOfOtherAddresses: Prometheus knows an address that other machines reach by any name.
func TestAdmin_HostOfOtherAddresses(t *testing.T) {
	cfg := embedded(t)
	cfg.Admin = app.AdminConfig{Listen: "0.0.0.0:0"}
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	_, port, err := net.SplitHostPort(a.AdminURL()[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	if got := statusWithHost(t, "http://127.0.0.1:"+port+"/metrics", "spillway-0.shop.svc:9464"); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// statusWithHost is the status of a page with the Host; empty for that of the URL.
func statusWithHost(t *testing.T, url, host string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
