package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/test/realparts"
)

const (
	servicesScript = "../../deploy/native/services.sh"
	// failoverLimit bounds the time in which the Sentinels replace a primary, on a busy machine: usually it takes them 6 to 8 s.
	failoverLimit = 2 * time.Minute
)

// TestNativeSentinels: what `make services REDIS=sentinel` starts is a Redis for durability replica that survives the loss of its primary.
func TestNativeSentinels(t *testing.T) {
	dir, nodes, sentinels := t.TempDir(), realparts.FreePorts(t, 3), realparts.FreePorts(t, 3)
	run := func(command string) string {
		t.Helper()
		cmd := exec.Command(servicesScript, command, "redis-sentinel")
		cmd.Env = append(os.Environ(), "SPILLWAY_SERVICES_DIR="+dir, fmt.Sprint("REDIS_NODES_PORT=", nodes), fmt.Sprint("REDIS_SENTINEL_PORT=", sentinels))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("services.sh %s redis-sentinel: %v\n%s", command, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() { run("down") })
	_, url, found := strings.Cut(run("up"), "--redis ")
	if !found {
		t.Fatal("it prints no address")
	}
	at, err := redisconn.ParseAddress(strings.TrimSpace(url))
	if err != nil {
		t.Fatal(err)
	}
	c, err := redisconn.Connect(redisconn.Config{Sentinels: at.Sentinels, Primary: at.Primary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	first, err := c.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Allow(first)
	if err := c.CheckReplicas(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.CheckEvictionPolicy(t.Context()); err != nil {
		t.Error(err)
	}
	killServer(t, filepath.Join(dir, "redis-sentinel", strconv.Itoa(nodes)+".pid"))
	for deadline := time.Now().Add(failoverLimit); ; <-time.After(100 * time.Millisecond) {
		next, err := c.Instance(t.Context())
		if err == nil && next != first && c.Confirm(t.Context(), next) == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no replica was promoted within %s: %v", failoverLimit, err)
		}
	}
	run("up") // The old primary comes back as a replica, and the Sentinels remember the new one.
	if out := run("status"); strings.Contains(out, "down") {
		t.Error(out)
	}
}

// killServer sends SIGKILL to the process in the file.
func killServer(t *testing.T, pidfile string) {
	t.Helper()
	text, err := os.ReadFile(pidfile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
