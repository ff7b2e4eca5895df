package rocketmq_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

// server is a private nameserver, broker and proxy of the suite.
type server struct {
	*realparts.Proc

	// broker is the address of the broker itself, for administrative calls.
	broker string
}

func startServer(t testing.TB, topics, groups []string) *server {
	t.Helper()
	s := &server{Proc: realparts.StartRocketMQ(t, topics, groups)}
	s.broker = "127.0.0.1:" + setting(t, "broker.conf", "listenPort")
	return s
}

func (s *server) Kill(testing.TB)    { s.Kill9() }
func (s *server) Restart(testing.TB) { s.Proc.Restart() }
func (s *server) Freeze(testing.TB)  { s.Pause() }
func (s *server) Thaw(testing.TB)    { s.Resume() }

// setting returns a setting from a configuration file of the server, in a temporary directory of the same test.
func setting(t testing.TB, file, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(filepath.Dir(t.TempDir()), "*", "conf", file))
	if err != nil || len(found) != 1 {
		t.Fatalf("find the server's %s: %v, %v", file, found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("%s has no %s", found[0], name)
	return ""
}

const (
	// createGroupCode is the code of the broker's command UPDATE_AND_CREATE_SUBSCRIPTIONGROUP.
	createGroupCode = 200
	// maxReplyBytes is the maximum size of the broker's reply.
	maxReplyBytes = 1 << 20
)

// createGroup has the effect of `mqadmin updateSubGroup`, which takes seconds to start.
func (s *server) createGroup(t testing.TB, name string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.broker, 5*time.Second)
	if err != nil {
		t.Fatalf("connect to the broker: %v", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"groupName":%q,"consumeEnable":true,"consumeFromMinEnable":true,"retryQueueNums":1,"retryMaxTimes":500}`, name)
	header := fmt.Sprintf(`{"code":%d,"flag":0,"language":"GO","opaque":1,"version":0,"serializeTypeCurrentRPC":"JSON"}`, createGroupCode)
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(header)))
	frame = append(append(frame, header...), body...)
	if _, err := conn.Write(frame); err != nil {
		t.Fatalf("send the command to the broker: %v", err)
	}
	if code, remark := readReply(t, conn); code != 0 {
		t.Fatalf("the broker failed to create group %s: %d %s", name, code, remark)
	}
}

// readReply reads the header of the broker's reply; code 0 is success.
func readReply(t testing.TB, conn net.Conn) (code int, remark string) {
	t.Helper()
	var lengths [2]uint32
	if err := binary.Read(conn, binary.BigEndian, &lengths); err != nil {
		t.Fatalf("read the broker's reply: %v", err)
	}
	// The first byte of the header's length is its serialization; 0 is JSON.
	header := make([]byte, min(lengths[1], maxReplyBytes))
	if _, err := io.ReadFull(conn, header); err != nil {
		t.Fatalf("read the broker's reply: %v", err)
	}
	var h struct {
		Code   int    `json:"code"`
		Remark string `json:"remark"`
	}
	if err := json.Unmarshal(header, &h); err != nil {
		t.Fatalf("read the broker's reply: %v", err)
	}
	return h.Code, h.Remark
}
