package app_test

import (
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/grpcreflect"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// TestReflection_WhereItIs: by default a shop that only its own machine reaches describes its procedures on the API's port; one that others may
// reach does so on the admin address.
func TestReflection_WhereItIs(t *testing.T) {
	for name, c := range map[string]struct {
		change        func(*app.HTTPConfig)
		public, admin bool
	}{
		"development":    {func(*app.HTTPConfig) {}, true, false},
		"all interfaces": {func(c *app.HTTPConfig) { c.Listen = "0.0.0.0:0" }, false, true},
		"behind a proxy": {func(c *app.HTTPConfig) { c.TrustedProxies = []string{"127.0.0.1"} }, false, true},
		"public":         {func(c *app.HTTPConfig) { c.Listen, c.Reflection = "0.0.0.0:0", app.ReflectionPublic }, true, false},
		"admin":          {func(c *app.HTTPConfig) { c.Reflection = app.ReflectionAdmin }, false, true},
		"off":            {func(c *app.HTTPConfig) { c.Reflection = app.ReflectionOff }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := embedded(t)
			cfg.Admin.Listen = "127.0.0.1:0"
			c.change(&cfg.HTTP)
			a, _ := start(t, cfg, slog.New(slog.DiscardHandler))
			if got := describes(t, a.URL()); got != c.public {
				t.Errorf("the API's port describes the procedures: %v; want %v", got, c.public)
			}
			if got := describes(t, a.AdminURL()); got != c.admin {
				t.Errorf("the admin address describes the procedures: %v; want %v", got, c.admin)
			}
			// The admin address serves none of them.
			if status, _ := get(t, a.AdminURL()+spillwayv1connect.CatalogServiceListProductsProcedure); status != http.StatusNotFound {
				t.Errorf("a procedure at the admin address: %d", status)
			}
		})
	}
}

// TestReadyz_TellsOutsidersOneWord: whoever reaches the API's port learns no names of dependencies, breakers or modes.
func TestReadyz_TellsOutsidersOneWord(t *testing.T) {
	a, _ := start(t, embedded(t), slog.New(slog.DiscardHandler))
	if status, body := get(t, a.URL()+"/readyz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("%d %q; want 200 and ok", status, body)
	}
}

// describes reports whether the URL has gRPC reflection with the services of the API.
func describes(t *testing.T, url string) bool {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	stream := grpcreflect.NewClient(&http.Client{Transport: tr}, "http://127.0.0.1:"+port).NewStream(t.Context())
	defer stream.Close() //nolint:errcheck // It may have failed.
	names, err := stream.ListServices()
	return err == nil && slices.Contains(names, spillwayv1connect.CheckoutServiceName)
}
