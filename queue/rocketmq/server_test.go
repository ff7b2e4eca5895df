package rocketmq_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TEMPORARY until test/realparts
type server struct{ dir string }

func (s *server) addr() string { return "127.0.0.1:28081" }

func (s *server) pid(t testing.TB) int {
	b, err := os.ReadFile(filepath.Join(s.dir, "px.pid"))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}
func (s *server) Kill(t testing.TB)   { t.Log(syscall.Kill(s.pid(t), syscall.SIGKILL)) }
func (s *server) Freeze(t testing.TB) { t.Log(syscall.Kill(s.pid(t), syscall.SIGSTOP)) }
func (s *server) Thaw(t testing.TB)   { t.Log(syscall.Kill(s.pid(t), syscall.SIGCONT)) }
func (s *server) Restart(t testing.TB) {
	os.Remove(filepath.Join(s.dir, "logs/px.out"))
	c := exec.Command("bash", "/tmp/rmq/start.sh", s.dir)
	c.Env = append(os.Environ(), "LIB=/tmp/rmq/lib", "NS_PORT=29876", "BROKER_PORT=30911", "GRPC_PORT=28081", "REMOTING_PORT=28080", `RMQ_PROXY_EXTRA="minInvisibleTimeMillsForRecv":1000`)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
}

func (s *server) createGroup(t testing.TB, name string) {
	home := s.dir
	java := "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED"
	c := exec.Command("bash", "-c", fmt.Sprintf("ROCKETMQ_HOME=%s java -Xmx128m -Duser.home=%s %s -cp '/tmp/rmq/lib/*' org.apache.rocketmq.tools.command.MQAdminStartup updateSubGroup -n 127.0.0.1:29876 -c DefaultCluster -g %s -r 10000", home, home, java, name))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	t.Log(string(out))
}
