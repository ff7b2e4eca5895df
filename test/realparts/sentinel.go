package realparts

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// PrimaryName is the name under which the Sentinels of StartSentinel monitor the primary.
	PrimaryName = "mymaster"
	// sentinelQuorum is how many Sentinels must miss the primary before one of them starts a failover.
	sentinelQuorum = 2
	sentinelCount  = 3
	// downAfter is for how long the primary must not respond; short, because tests wait for it.
	downAfter = 2 * time.Second
	// failoverTimeout bounds one attempt at a failover, after twice of which the next one follows.
	failoverTimeout = 6 * time.Second
	// replicaMaxLag is after how many seconds without an acknowledgement a replica does not count for min-replicas-to-write.
	replicaMaxLag = "5"
)

// SentinelRedis is a private Redis with replicas that Sentinels observe.
type SentinelRedis struct {
	t testing.TB
	// Nodes are the primary, at first, and its replicas.
	Nodes []*Proc
	// Sentinels observe them.
	Sentinels []*Proc

	secure *secureRedis // nil for plain TCP without a login
}

// StartSentinel starts a primary, two replicas and three Sentinels, and returns when the replicas are in sync and all Sentinels know each other
// and the replicas. The append-only files are synced every second.
func StartSentinel(t testing.TB) *SentinelRedis {
	t.Helper()
	return startSentinels(t, topology{host: "127.0.0.1", primaryHost: "127.0.0.1"})
}

// topology is where a SentinelRedis runs: the primary on its own host, by a command that begins with the prefix, and the rest on the other one.
type topology struct {
	host, primaryHost string
	prefix            []string
	secure            *secureRedis
}

func startSentinels(t testing.TB, at topology) *SentinelRedis {
	t.Helper()
	s := &SentinelRedis{t: t, secure: at.secure}
	primary := startNode(t, node{host: at.primaryHost, port: FreePort(t), prefix: at.prefix, secure: at.secure})
	s.Nodes = append(s.Nodes, primary)
	for range 2 {
		s.Nodes = append(s.Nodes, startNode(t, node{host: at.host, port: FreePort(t), primary: primary.Addr(), secure: at.secure}))
	}
	for range sentinelCount {
		s.Sentinels = append(s.Sentinels, startSentinel(t, at.host, primary.Addr(), at.secure))
	}
	await(t, "the replicas to be in sync", func() bool {
		info, err := s.access().command(s.Nodes[0].Addr(), "INFO", "replication")
		return err == nil && strings.Count(info, "state=online") == 2
	})
	for _, p := range s.Sentinels {
		await(t, "the Sentinel at "+p.Addr()+" to know all others", func() bool {
			info, err := s.access().command(p.Addr(), "INFO", "sentinel")
			return err == nil && strings.Contains(info, fmt.Sprintf("slaves=2,sentinels=%d", sentinelCount))
		})
	}
	return s
}

// Kill9 ends all of it by SIGKILL.
func (s *SentinelRedis) Kill9() {
	s.t.Helper()
	for _, p := range append(s.Sentinels[:len(s.Sentinels):len(s.Sentinels)], s.Nodes...) {
		p.Kill9()
	}
}

// access is that of the tests.
func (s *SentinelRedis) access() redisAccess { return s.secure.access() }

// URL is what --redis takes.
func (s *SentinelRedis) URL() string {
	addrs := make([]string, len(s.Sentinels))
	for i, p := range s.Sentinels {
		addrs[i] = p.Addr()
	}
	return "redis-sentinel://" + strings.Join(addrs, ",") + "/" + PrimaryName
}

// AwaitFailover returns when a majority of the Sentinels names another primary than the one at the address, and the address of that.
func (s *SentinelRedis) AwaitFailover(old string) (primary string) {
	s.t.Helper()
	await(s.t, "a failover from "+old, func() bool {
		votes := map[string]int{}
		for _, p := range s.Sentinels {
			addr, err := s.access().primary(p.Addr())
			if votes[addr]++; err == nil && addr != old && votes[addr] > len(s.Sentinels)/2 {
				primary = addr
				return true
			}
		}
		return false
	})
	return primary
}

// Primary is the address of the primary that the first Sentinel names.
func (s *SentinelRedis) Primary() string {
	s.t.Helper()
	addr, err := s.access().primary(s.Sentinels[0].Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	return addr
}

// Node is the Redis at the address.
func (s *SentinelRedis) Node(addr string) *Proc {
	s.t.Helper()
	for _, n := range s.Nodes {
		if n.Addr() == addr {
			return n
		}
	}
	s.t.Fatalf("no Redis of the test is at %s", addr)
	return nil
}

// AwaitReplica returns when the Redis is a replica that is in sync.
func (s *SentinelRedis) AwaitReplica(addr string) {
	s.t.Helper()
	await(s.t, addr+" to be a replica in sync", func() bool {
		info, err := s.access().command(addr, "INFO", "replication")
		return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
	})
}

// Command sends one command to the Redis or Sentinel at the address, with a status or a bulk string as its reply.
func (s *SentinelRedis) Command(addr string, args ...string) string {
	s.t.Helper()
	reply, err := s.access().command(addr, args...)
	if err != nil {
		s.t.Fatalf("%v to %s: %v", args, addr, err)
	}
	return reply
}

// node is a Redis of the topology.
type node struct {
	host, port string
	primary    string   // of which it is a replica; empty for none
	prefix     []string // of its command line
	secure     *secureRedis
	alone      bool // it has no replicas
}

func startNode(t testing.TB, n node) *Proc {
	t.Helper()
	dir := serverDir(t)
	p := &Proc{t: t, addr: net.JoinHostPort(n.host, n.port)}
	p.start = func() (*process, error) { return n.launch(dir) }
	t.Cleanup(p.Kill9)
	p.run()
	return p
}

func (n node) launch(dir string) (*process, error) {
	log := filepath.Join(dir, "log")
	args := append(redisArgs(dir, n.port, "everysec", log), "--bind", n.host, "--protected-mode", "no")
	if !n.alone {
		args = append(args, "--min-replicas-to-write", "1", "--min-replicas-max-lag", replicaMaxLag)
	}
	if host, port, err := net.SplitHostPort(n.primary); err == nil {
		args = append(args, "--replicaof", host+" "+port)
	}
	return launch("Redis", n.prefix, append(args, n.secure.nodeArgs(n.port)...), n.host, n.port, log, n.secure.ready)
}

// startSentinel starts a Sentinel that monitors the primary.
func startSentinel(t testing.TB, host, primary string, secure *secureRedis) *Proc {
	t.Helper()
	dir, port := serverDir(t), FreePort(t)
	config, log := filepath.Join(dir, "sentinel.conf"), filepath.Join(dir, "log") // Sentinel rewrites the first.
	if err := os.WriteFile(config, []byte(sentinelConfig(dir, host, port, primary)+secure.sentinelConfig(port)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Proc{t: t, addr: net.JoinHostPort(host, port)}
	p.start = func() (*process, error) {
		return launch("Sentinel", nil, []string{"redis-server", config, "--sentinel", "--logfile", log}, host, port, log, secure.ready)
	}
	t.Cleanup(p.Kill9)
	p.run()
	return p
}

func sentinelConfig(dir, host, port, primary string) string {
	return fmt.Sprintf("port %s\nbind %s\nprotected-mode no\ndir %s\nsentinel monitor %[4]s %[5]s %[6]d\n"+
		"sentinel down-after-milliseconds %[4]s %[7]d\nsentinel failover-timeout %[4]s %[8]d\nsentinel parallel-syncs %[4]s 2\n",
		port, host, dir, PrimaryName, strings.ReplaceAll(primary, ":", " "), sentinelQuorum, downAfter.Milliseconds(), failoverTimeout.Milliseconds())
}

// launch starts a Redis or a Sentinel, and returns when that is ready; prefix is a command that runs it elsewhere, such as in a network namespace.
func launch(what string, prefix, args []string, host, port, log string, ready func(addr string) bool) (*process, error) {
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	line := append(append([]string(nil), prefix...), args...)
	p, err := child(exec.Command(line[0], line[1:]...), number, log)
	if err != nil {
		return nil, fmt.Errorf("start a %s: %w; run `make services`, which installs it", what, err)
	}
	err = p.started(what, func() bool { return ready(net.JoinHostPort(host, port)) })
	return p, err
}

// primary is the address of the primary that the Sentinel names.
func (a redisAccess) primary(sentinel string) (string, error) {
	c, in, err := a.dial(sentinel)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "SENTINEL GET-MASTER-ADDR-BY-NAME "+PrimaryName+"\r\n"); err != nil {
		return "", err
	}
	var lines [5]string // *2, a length, the host, a length, the port
	for i := range lines {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if lines[i] = strings.TrimSuffix(line, "\r\n"); i == 0 && lines[0] != "*2" {
			return "", errors.New("unexpected reply " + lines[0])
		}
	}
	return net.JoinHostPort(lines[2], lines[4]), nil
}
