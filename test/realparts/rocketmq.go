package realparts

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// rocketMQ is a directory of the test's own, with the ports and names that its servers have.
type rocketMQ struct {
	t    testing.TB
	dir  string
	env  []string
	grpc string
}

func newRocketMQ(t testing.TB, env ...string) *rocketMQ {
	t.Helper()
	r := &rocketMQ{t: t, dir: t.TempDir(), grpc: FreePort(t)}
	r.env = append(os.Environ(), "ROCKETMQ_GRPC_PORT="+r.grpc, "ROCKETMQ_NAMESRV_PORT="+FreePort(t),
		"ROCKETMQ_BROKER_PORT="+brokerPort(t), "ROCKETMQ_REMOTING_PORT="+FreePort(t), "ROCKETMQ_TEST_GROUPS=")
	r.env = append(r.env, env...)
	return r
}

// run runs a command of the script that also runs the shared RocketMQ.
func (r *rocketMQ) run(command string) {
	r.t.Helper()
	_, here, _, _ := runtime.Caller(0)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(here), "..", "..", "deploy", "native", "rocketmq.sh"), command, r.dir)
	cmd.Env = r.env
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("RocketMQ %s: %v\n%s%s", command, err, out, r.logs())
	}
}

// logTail is how many bytes of each log a failure shows: the test's directory is gone when one wants to look.
const logTail = 3000

func (r *rocketMQ) logs() string {
	files, err := filepath.Glob(filepath.Join(r.dir, "logs", "*.out"))
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		fmt.Fprintf(&out, "%s (%v):\n%s\n", filepath.Base(f), err, text[max(0, len(text)-logTail):])
	}
	return out.String()
}

// brokerPort is a port with which the two others are free that the broker takes: two below it and one above.
func brokerPort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(freePorts(t, -2, 0, 1))
}

// proc is the server whose number is in the file, after it was started by the command.
func (r *rocketMQ) proc(pidFile, command string) *Proc {
	r.t.Helper()
	p := &Proc{t: r.t, addr: "127.0.0.1:" + r.grpc}
	p.start = func() int {
		r.run(command)
		text, err := os.ReadFile(filepath.Join(r.dir, pidFile))
		if err != nil {
			r.t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			r.t.Fatal(err)
		}
		return pid
	}
	return p
}

// StartRocketMQ starts a nameserver and a broker with its proxy; Addr is the proxy's. Kill9 and Restart concern the broker.
func StartRocketMQ(t testing.TB, topics, groups []string) *Proc {
	t.Helper()
	r := newRocketMQ(t, "ROCKETMQ_TOPICS="+strings.Join(topics, " "), "ROCKETMQ_GROUPS="+strings.Join(groups, " "))
	p := r.proc("broker.pid", "up")
	t.Cleanup(func() { // First: a start that fails leaves what did start.
		p.Kill9()
		r.run("down")
	})
	p.pid = p.start()
	return p
}

// StartRocketMQCluster starts a nameserver, a broker and a proxy, each a server of its own, with the topics and groups of a shop. Addr
// is the proxy's in both. Restart does not wait until the topics are routable: that takes seconds more.
func StartRocketMQCluster(t testing.TB) (broker, proxy *Proc) {
	t.Helper()
	r := newRocketMQ(t, "ROCKETMQ_PROXY=own")
	broker, proxy = r.proc("broker.pid", "start"), r.proc("proxy.pid", "start")
	t.Cleanup(func() {
		proxy.Kill9()
		broker.Kill9()
		r.run("down")
	})
	r.run("up")
	broker.pid, proxy.pid = broker.start(), proxy.start()
	return broker, proxy
}
