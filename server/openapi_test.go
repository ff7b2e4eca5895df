package server

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// TestOpenAPI_IsServed: the document has every procedure that is served, and no internal service. ShipOrder is the one internal
// procedure of a service that is served.
func TestOpenAPI_IsServed(t *testing.T) {
	e := startServer(t, allServices(t))
	read := func(encoding string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/openapi.yaml", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if encoding != "" {
			req.Header.Set("Accept-Encoding", encoding) // Otherwise the client adds gzip, and decompresses the response.
		}
		resp, err := e.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/yaml" {
			t.Fatalf("%d %v, %v", resp.StatusCode, resp.Header, err)
		}
		return string(body)
	}
	want, err := os.ReadFile("../docs/openapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := read("identity")
	if text != string(want) || read("") != text {
		t.Error("what is served is not docs/openapi/openapi.yaml: run `make generate`")
	}
	if !strings.HasPrefix(text, "openapi: 3.1") {
		t.Errorf("it begins with %q", text[:min(len(text), 40)])
	}
	for procedure, may := range permissions {
		if has := strings.Contains(text, procedure+":"); has != !may.internal && procedure != spillwayv1connect.ShippingServiceShipOrderProcedure {
			t.Errorf("%s is in the document: %v", procedure, has)
		}
	}
}
