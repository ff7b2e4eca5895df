package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAPI_CurlBufGrpcurlAndFetch runs each program that the README names, on one port.
func TestAPI_CurlBufGrpcurlAndFetch(t *testing.T) {
	s := embedded(t)
	token := s.guest()
	host := strings.TrimPrefix(s.url, "http://")
	body := orderBody(hotSKU, 1, goodCard)
	watch := fmt.Sprintf(`{"orderId":%q}`, s.place(token, "watched"))
	list, place := "/spillway.v1.CatalogService/ListProducts", "/spillway.v1.CheckoutService/PlaceOrder"
	const json = "Content-Type: application/json"
	bearer := "Authorization: Bearer " + token
	for name, c := range map[string]struct {
		program string
		args    []string
		want    string
	}{
		"curl lists":                {"curl", []string{"-sS", "-H", json, "-d", `{"pageSize":50}`, s.url + list}, hotSKU},
		"curl orders":               {"curl", []string{"-sS", "-H", json, "-H", bearer, "-H", "Idempotency-Key: curl", "-d", body, s.url + place}, "ORDER_STATE_PAID"},
		"buf curl lists":            {"buf", []string{"curl", "-d", `{"pageSize":50}`, "--http2-prior-knowledge", "--protocol", "grpc", s.url + list}, hotSKU},
		"buf curl grpcweb":          {"buf", []string{"curl", "-d", `{"pageSize":50}`, "--protocol", "grpcweb", s.url + list}, hotSKU},
		"buf curl orders":           {"buf", []string{"curl", "-d", body, "-H", bearer, "-H", "Idempotency-Key: buf", s.url + place}, "ORDER_STATE_PAID"},
		"grpcurl services":          {"grpcurl", []string{"-plaintext", host, "list"}, "spillway.v1.CheckoutService"},
		"grpcurl health":            {"grpcurl", []string{"-plaintext", host, "grpc.health.v1.Health/Check"}, "SERVING"},
		"grpcurl orders":            {"grpcurl", []string{"-plaintext", "-H", bearer, "-H", "Idempotency-Key: grpcurl", "-d", body, host, "spillway.v1.CheckoutService/PlaceOrder"}, "ORDER_STATE_PAID"},
		"buf curl watches":          {"buf", []string{"curl", "-d", watch, "-H", bearer, s.url + "/spillway.v1.OrderService/WatchOrder"}, "ORDER_STATE_SHIPPED"},
		"grpcurl watches":           {"grpcurl", []string{"-plaintext", "-H", bearer, "-d", watch, host, "spillway.v1.OrderService/WatchOrder"}, "ORDER_STATE_SHIPPED"},
		"fetch orders":              {"node", []string{"-e", fetchOrder(s.url+place, token, body)}, "ORDER_STATE_PAID"},
		"curl looks if it is alive": {"curl", []string{"-sS", s.url + "/livez"}, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, program(t, c.program), c.args...)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%s: %v\n%s\nwant %q", c.program, err, out, c.want)
			}
		})
	}
}

// fetchOrder is what a page does.
func fetchOrder(url, token, body string) string {
	return fmt.Sprintf(`fetch(%q, {method: "POST", body: %q, headers: {"Content-Type": "application/json",
		"Authorization": "Bearer %s", "Idempotency-Key": "fetch"}}).then(r => r.text()).then(console.log)`, url, body, token)
}

// program finds a tool, also where `make tools` puts it.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"../../.bin", "../../node_modules/.bin"} {
		if path, err := filepath.Abs(filepath.Join(dir, name)); err == nil {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: run `make tools`", err)
	}
	return path
}
