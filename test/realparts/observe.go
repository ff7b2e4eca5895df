package realparts

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// buildTimeout is the maximum duration of the first start: Jaeger is built, which takes minutes, and Prometheus is installed. The script has
	// a limit of its own, which is shorter.
	buildTimeout = 20 * time.Minute
	// scrapeInterval is the time between two scrapes of a private Prometheus.
	scrapeInterval = "1s"
)

// Jaeger is a private Jaeger with its traces in memory.
type Jaeger struct {
	*Proc

	// OTLP is where it takes spans, for OTEL_EXPORTER_OTLP_ENDPOINT.
	OTLP string
}

// StartJaeger starts a Jaeger; Addr is that of its HTTP API. The first call on a machine builds it.
func StartJaeger(t testing.TB) *Jaeger {
	t.Helper()
	first := freePorts(t, 0, 1, 2, 3, 4, 5, 6)
	port := func(offset int) string { return strconv.Itoa(first + offset) }
	p := startObserver(t, "jaeger", port(0), "JAEGER_PORT="+port(0), "JAEGER_OTLP_PORT="+port(1), "JAEGER_OTLP_HTTP_PORT="+port(2),
		"JAEGER_ADMIN_PORT="+port(3), "JAEGER_QUERY_GRPC_PORT="+port(4), "JAEGER_COLLECTOR_HTTP_PORT="+port(5), "JAEGER_COLLECTOR_GRPC_PORT="+port(6))
	return &Jaeger{Proc: p, OTLP: "http://" + net.JoinHostPort("127.0.0.1", port(1))}
}

// StartPrometheus starts a Prometheus with the alert rules of deploy/, which scrapes the admin addresses every second. Addr is that of its
// HTTP API. The first call on a machine installs it.
func StartPrometheus(t testing.TB, admins ...string) *Proc {
	t.Helper()
	port := FreePort(t)
	return startObserver(t, "prometheus", port, "PROMETHEUS_PORT="+port, "SCRAPE_INTERVAL="+scrapeInterval, "SPILLWAY_ADMINS="+strings.Join(admins, ","))
}

// startObserver starts a part of deploy/native/observe.sh with a directory of the test.
func startObserver(t testing.TB, part, port string, env ...string) *Proc {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "..", "..", "deploy", "native", "observe.sh")
	dir := serverDir(t)
	env = append(append(os.Environ(), "OBSERVE_DIR="+dir), env...)
	if out, err := outputWithin(buildTimeout, env, script, "prepare", part); err != nil {
		t.Fatalf("prepare %s: %v\n%s", part, err, out)
	}
	p := &Proc{t: t, addr: net.JoinHostPort("127.0.0.1", port)}
	p.start = func() (*process, error) {
		if out, err := output(env, script, "up", part); err != nil {
			return nil, fmt.Errorf("start %s: %w\n%s", part, err, out)
		}
		return adoptFile(filepath.Join(dir, part+".pid"), port, filepath.Join(dir, part+".log"), part)
	}
	t.Cleanup(func() {
		p.Kill9()
		if out, err := output(env, script, "down", part); err != nil { // A failed start may have left a process.
			t.Errorf("stop %s: %v\n%s", part, err, out)
		}
	})
	p.run()
	return p
}

// adoptFile adopts the process of a pid file, which a script has started and waited for.
func adoptFile(pidFile, port, log, what string) (*process, error) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	p, err := adopt(pid, number, log)
	if err != nil {
		return nil, err
	}
	err = p.started(what, func() bool { return true })
	return p, err
}
