package realparts

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// rocketMQ is a directory of the test, with the ports and names of its servers.
type rocketMQ struct {
	t   testing.TB
	dir string
	env []string

	broker, grpc string // ports
}

func newRocketMQ(t testing.TB, env ...string) *rocketMQ {
	t.Helper()
	r := &rocketMQ{t: t, dir: t.TempDir(), broker: brokerPort(t), grpc: FreePort(t)}
	r.env = append(os.Environ(), "ROCKETMQ_GRPC_PORT="+r.grpc, "ROCKETMQ_NAMESRV_PORT="+FreePort(t),
		"ROCKETMQ_BROKER_PORT="+r.broker, "ROCKETMQ_REMOTING_PORT="+FreePort(t), "ROCKETMQ_TEST_GROUPS=")
	r.env = append(r.env, env...)
	return r
}

// run runs a command of the script that also runs the shared RocketMQ.
func (r *rocketMQ) run(command string) error {
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "..", "..", "deploy", "native", "rocketmq.sh")
	if out, err := output(r.env, script, command, r.dir); err != nil {
		return fmt.Errorf("RocketMQ %s: %w\n%s%s", command, err, out, r.logs())
	}
	return nil
}

// down ends everything in the directory, also after a failed start.
func (r *rocketMQ) down() {
	r.t.Helper()
	if err := r.run("down"); err != nil {
		r.t.Error(err)
	}
}

func (r *rocketMQ) logs() string {
	files, err := filepath.Glob(filepath.Join(r.dir, "logs", "*.out"))
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, f := range files {
		fmt.Fprintf(&out, "%s:\n%s\n", filepath.Base(f), tail(f))
	}
	return out.String()
}

// brokerPort returns a port for which the broker's other two ports are free: two below it and one above.
func brokerPort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(freePorts(t, -2, 0, 1))
}

// proc is the server that the command starts and that listens on the port; its pid file is NAME.pid and its log
// NAME.out.
func (r *rocketMQ) proc(name, command, port string) *Proc {
	p := &Proc{t: r.t, addr: "127.0.0.1:" + r.grpc}
	p.start = func() (*process, error) {
		if err := r.run(command); err != nil {
			return nil, err
		}
		return r.adopt(name, port)
	}
	return p
}

func (r *rocketMQ) adopt(name, port string) (*process, error) {
	return adoptFile(filepath.Join(r.dir, name+".pid"), port, filepath.Join(r.dir, "logs", name+".out"), "RocketMQ's "+name)
}

// StartRocketMQ starts a nameserver and a broker with its proxy; Addr is the proxy's. Kill9 and Restart apply to the
// broker.
func StartRocketMQ(t testing.TB, topics, groups []string) *Proc {
	t.Helper()
	r := newRocketMQ(t, "ROCKETMQ_TOPICS="+strings.Join(topics, " "), "ROCKETMQ_GROUPS="+strings.Join(groups, " "))
	p := r.proc("broker", "up", r.grpc)
	t.Cleanup(func() { // First, because a failed start may leave processes.
		p.Kill9()
		r.down()
	})
	p.run()
	return p
}

// RocketMQSetup is what an operator decides about the brokers.
type RocketMQSetup struct {
	// SyncFlush makes them write a message to the disk before they respond.
	SyncFlush bool
	// TwoBrokers share each topic.
	TwoBrokers bool
}

// StartRocketMQBrokers starts a nameserver, one broker or two, and a proxy for them as separate servers. second is nil
// without a second broker. Restart does not wait until the topics are routable.
func StartRocketMQBrokers(t testing.TB, topics, groups []string, setup RocketMQSetup) (first, second, proxy *Proc) {
	t.Helper()
	env := []string{"ROCKETMQ_PROXY=own", "ROCKETMQ_TOPICS=" + strings.Join(topics, " "), "ROCKETMQ_GROUPS=" + strings.Join(groups, " ")}
	if setup.SyncFlush {
		env = append(env, "ROCKETMQ_FLUSH=SYNC_FLUSH")
	}
	port := ""
	if setup.TwoBrokers {
		port = brokerPort(t)
		env = append(env, "ROCKETMQ_SECOND_PORT="+port)
	}
	r := newRocketMQ(t, env...)
	first, proxy = r.proc("broker", "start", r.broker), r.proc("proxy", "start", r.grpc)
	servers := []*Proc{first, proxy}
	if setup.TwoBrokers {
		second = r.proc("second", "start", port)
		servers = append(servers, second)
	}
	t.Cleanup(func() {
		for _, p := range servers {
			p.Kill9()
		}
		r.down()
	})
	if err := r.run("up"); err != nil {
		t.Fatal(err)
	}
	for _, p := range servers {
		p.run()
	}
	return first, second, proxy
}

// SecureRocketMQ is a RocketMQ with ACL 2.0 whose proxy refuses plain text.
type SecureRocketMQ struct {
	*Proc

	// CAFile is the PEM file of the authority that signed the proxy's certificate.
	CAFile string
	// AccessKey and SecretKey are those of a user with the access that a shop needs and no more.
	AccessKey, SecretKey string
}

// StartSecureRocketMQ starts one with the topic and groups of a shop.
func StartSecureRocketMQ(t testing.TB) *SecureRocketMQ {
	t.Helper()
	cert, key := Certificate(t)
	s := &SecureRocketMQ{CAFile: cert, AccessKey: "shop", SecretKey: strings.ToLower(rand.Text())}
	r := newRocketMQ(t, "ROCKETMQ_TLS_CERT="+cert, "ROCKETMQ_TLS_KEY="+key, "ROCKETMQ_ADMIN=admin:"+strings.ToLower(rand.Text()),
		"ROCKETMQ_USER="+s.AccessKey+":"+s.SecretKey)
	s.Proc = r.proc("broker", "up", r.grpc)
	t.Cleanup(func() {
		s.Kill9()
		r.down()
	})
	s.run()
	if err := r.run("grant"); err != nil {
		t.Fatal(err)
	}
	return s
}

// StartRocketMQCluster starts a nameserver, a broker and a proxy as separate servers, with the topics and groups of a
// shop. Addr is the proxy's in both. Restart does not wait until the topics are routable, which takes some more
// seconds.
func StartRocketMQCluster(t testing.TB) (broker *Broker, proxy *Proc) {
	t.Helper()
	r := newRocketMQ(t, "ROCKETMQ_PROXY=own")
	broker, proxy = &Broker{Proc: r.proc("broker", "start", r.broker), dir: r.dir}, r.proc("proxy", "start", r.grpc)
	t.Cleanup(func() {
		proxy.Kill9()
		broker.Kill9()
		r.down()
	})
	if err := r.run("up"); err != nil {
		t.Fatal(err)
	}
	broker.run()
	proxy.run()
	return broker, proxy
}
