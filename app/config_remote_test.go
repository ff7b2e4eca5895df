package app

import (
	"strings"
	"testing"
)

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]endpoint{
		"http://127.0.0.1:9001":         {base: "http://127.0.0.1:9001", host: "127.0.0.1"},
		"https://payment.internal":      {base: "https://payment.internal", host: "payment.internal", tls: true},
		"grpc://[::1]:9001":             {base: "http://[::1]:9001", host: "::1", grpc: true},
		"grpcs://payment.internal:9001": {base: "https://payment.internal:9001", host: "payment.internal", grpc: true, tls: true},
		"http://payment:9001/":          {base: "http://payment:9001", host: "payment"},
	} {
		if got, err := parseEndpoint("--payment-url", text); got != want || err != nil {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"payment:9001", "127.0.0.1:9001", "ftp://payment:9001", "http://", "http://:9001", "http://payment:", "http://payment:0", "http://payment:65536",
		"http://payment:http", "http://payment:9001/path", "http://payment:9001?q", "http://payment:9001#f", "http://user:hunter2@payment:9001", "http://pay ment",
	} {
		if _, err := parseEndpoint("--payment-url", text); err == nil || !strings.HasPrefix(err.Error(), "--payment-url") ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
