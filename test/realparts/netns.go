package realparts

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Namespace is a network namespace, which two links connect with the machine: one that the test can cut, and one for what must go on.
type Namespace struct {
	t    testing.TB
	name string
	// Outside and Inside are the addresses of the machine and of the namespace on the link that Cut cuts; StableOutside and StableInside
	// those on the other link.
	Outside, Inside, StableOutside, StableInside string
}

// deadMAC is the hardware address of no interface: what is sent to it is lost without a sign, as on a broken network.
const deadMAC = "02:00:00:00:de:ad"

// NewNamespace creates a namespace, which is removed when the test ends. It needs root.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	name := "spw" + strings.ToLower(rand.Text()[:8])
	n := &Namespace{t: t, name: name}
	t.Cleanup(func() {
		if out, err := output(nil, "ip", "netns", "del", name); err != nil {
			t.Errorf("remove the network namespace %s: %v\n%s", name, err, out)
		}
	})
	n.ip("netns", "add", name)
	n.ip("-n", name, "link", "set", "lo", "up")
	n.Outside, n.Inside = n.link("c")
	n.StableOutside, n.StableInside = n.link("s")
	return n
}

// link connects the namespace by a pair of interfaces with addresses of a random network of four.
func (n *Namespace) link(suffix string) (outside, inside string) {
	n.t.Helper()
	r, err := rand.Int(rand.Reader, big.NewInt(1<<14))
	if err != nil {
		n.t.Fatal(err)
	}
	v := int(r.Int64())
	prefix := fmt.Sprintf("10.201.%d.", v>>6)
	host, peer := n.name+suffix, n.name+suffix+"i"
	outside, inside = fmt.Sprint(prefix, v&63<<2+1), fmt.Sprint(prefix, v&63<<2+2)
	n.ip("link", "add", host, "type", "veth", "peer", "name", peer, "netns", n.name)
	n.ip("addr", "add", outside+"/30", "dev", host)
	n.ip("link", "set", host, "up")
	n.ip("-n", n.name, "addr", "add", inside+"/30", "dev", peer)
	n.ip("-n", n.name, "link", "set", peer, "up")
	return outside, inside
}

// Command is the beginning of a command line that runs in the namespace.
func (n *Namespace) Command() []string { return []string{"ip", "netns", "exec", n.name} }

// Cut loses all that is sent over the link, in both directions. Connections stay open.
func (n *Namespace) Cut() {
	n.t.Helper()
	n.ip("neigh", "replace", n.Inside, "lladdr", deadMAC, "dev", n.name+"c", "nud", "permanent")
	n.ip("-n", n.name, "neigh", "replace", n.Outside, "lladdr", deadMAC, "dev", n.name+"ci", "nud", "permanent")
}

// Heal ends the cut.
func (n *Namespace) Heal() {
	n.t.Helper()
	n.ip("neigh", "del", n.Inside, "dev", n.name+"c")
	n.ip("-n", n.name, "neigh", "del", n.Outside, "dev", n.name+"ci")
}

func (n *Namespace) ip(args ...string) {
	n.t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		n.t.Fatalf("this test cuts a network in two, which needs `ip` and root: apt-get install iproute2 (%v)", err)
	}
	if out, err := output(nil, "ip", args...); err != nil {
		n.t.Fatalf("ip %s: %v (root is needed)\n%s", strings.Join(args, " "), err, out)
	}
}

// Forward starts a forwarder on a port of the stable link, so that a process in the namespace reaches a server of the machine.
func (n *Namespace) Forward(target string) *Forwarder {
	n.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(n.StableOutside, "0"))
	if err != nil {
		n.t.Fatal(err)
	}
	f := &Forwarder{target: target, listener: l}
	go f.accept()
	n.t.Cleanup(func() { _ = l.Close(); f.Cut() })
	return f
}

// Forwarder forwards connections to a server.
type Forwarder struct {
	target   string
	listener net.Listener

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// Addr is where it listens.
func (f *Forwarder) Addr() string { return f.listener.Addr().String() }

// Cut closes all connections. New ones are accepted, and nothing is forwarded.
func (f *Forwarder) Cut() { f.set(true) }

// Heal ends the cut.
func (f *Forwarder) Heal() { f.set(false) }

func (f *Forwarder) set(cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = cut
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
}

func (f *Forwarder) accept() {
	for {
		in, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.forward(in)
	}
}

func (f *Forwarder) forward(in net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, in)
	if f.cut {
		return
	}
	out, err := net.Dial("tcp", f.target)
	if err != nil {
		_ = in.Close()
		return
	}
	f.conns = append(f.conns, out)
	go pass(in, out)
	go pass(out, in)
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
}

// StartPartition starts a SentinelRedis of which the primary is in the namespace, and the replicas and Sentinels are outside.
func StartPartition(t testing.TB) (*SentinelRedis, *Namespace) {
	t.Helper()
	n := NewNamespace(t)
	return startSentinels(t, topology{host: n.Outside, primaryHost: n.Inside, prefix: n.Command()}), n
}
