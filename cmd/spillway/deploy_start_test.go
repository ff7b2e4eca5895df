package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

// deployedStart bounds the start of a process, and deployedEnd its end.
const deployedStart, deployedEnd = 2 * time.Minute, 2 * time.Minute

// deployment are the servers of a shop that compose.yaml or the manifests describe.
type deployment struct{ mysql, redis, namespace, data string }

func newDeployment(t *testing.T) deployment {
	t.Helper()
	return deployment{realparts.MySQL(t), realparts.Redis(t), "deploy-" + rand.Text(), t.TempDir()}
}

// start runs the process with its arguments and its environment until it is ready, and lets it drain. One that is a job must end by itself. It has the
// test's servers and files instead of those that it names, and the queue in Redis, because the topics of the shared RocketMQ are those of other tests.
func (d deployment) start(t *testing.T, p process) {
	t.Helper()
	p.accept(t)
	admin := realparts.FreeAddr(t)
	for _, name := range []string{"MYSQL", "MYSQL_PASSWORD", "REDIS", "ROCKETMQ", "ROCKETMQ_TLS"} {
		unset(t, "SPILLWAY_"+name)
		unset(t, "SPILLWAY_"+name+"_FILE")
	}
	unset(t, "OTEL_EXPORTER_OTLP_ENDPOINT")
	for name, value := range p.env {
		if rest, ok := strings.CutPrefix(value, "/data"); ok {
			t.Setenv(name, filepath.Join(d.data, rest))
		}
	}
	t.Setenv("SPILLWAY_DATA_DIR", d.data) // The image sets it.
	t.Setenv("SPILLWAY_MYSQL", d.mysql)
	job := p.args[0] == "migrate" || p.args[0] == "seed"
	if !job {
		t.Setenv("SPILLWAY_REDIS", d.redis)
		t.Setenv("SPILLWAY_REDIS_NAMESPACE", d.namespace)
		t.Setenv("SPILLWAY_ADMIN", admin)
		t.Setenv("SPILLWAY_LISTEN", realparts.FreeAddr(t))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, p.args, &log, &log) }()
	if !job {
		awaitReady(t, admin, ended)
		stop()
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v: %v\n%s", p.args, err, log.String())
		}
	case <-time.After(deployedEnd):
		t.Fatalf("%v did not end within %s", p.args, deployedEnd)
	}
}

// awaitReady fails the test unless the process becomes ready. What it ended with stays in the channel.
func awaitReady(t *testing.T, admin string, ended chan error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(deployedStart); ; {
		if resp, err := http.Get("http://" + admin + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case err := <-ended:
			t.Errorf("the process ended before it was ready: %v", err)
			ended <- err
			return
		case <-deadline:
			t.Errorf("the process is not ready within %s", deployedStart)
			return
		}
	}
}

func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "")
	_ = os.Unsetenv(name) // Setenv restores it.
}

// startAll starts each process, those that prepare the database first.
func (d deployment) startAll(t *testing.T, processes []process) {
	t.Helper()
	order := []string{"migrate", "seed", "serve", "work"}
	slices.SortStableFunc(processes, func(a, b process) int {
		return cmp.Compare(slices.Index(order, a.args[0]), slices.Index(order, b.args[0]))
	})
	for _, p := range processes {
		t.Run(p.name, func(t *testing.T) { d.start(t, p) })
	}
}

// TestCompose_ProcessesStart: each process of the shop in compose.yaml becomes ready, or ends its job, on real servers.
func TestCompose_ProcessesStart(t *testing.T) {
	emptyEnvironment(t)
	newDeployment(t).startAll(t, composeProcesses(t))
}

// TestKubernetes_ProcessesStart: so does each process of the overlays.
func TestKubernetes_ProcessesStart(t *testing.T) {
	for _, overlay := range []string{"dev", "prod"} {
		t.Run(overlay, func(t *testing.T) {
			emptyEnvironment(t)
			newDeployment(t).startAll(t, processesOf(t, overlay, manifests(t, overlay)))
		})
	}
}
