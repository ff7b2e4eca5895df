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

// server is a nameserver, a broker and a proxy of the suite's own.
type server struct {
	*realparts.Proc

	// broker is the address of the broker itself, for its operator's calls.
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

// setting reads one from a file that the server was started with, in a temporary directory of the same test.
func setting(t testing.TB, file, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(filepath.Dir(t.TempDir()), "*", "conf", file))
	if err != nil || len(found) != 1 {
		t.Fatalf("look for the server's %s: %v, %v", file, found, err)
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
	// createGroupCode is the number of the broker's command UPDATE_AND_CREATE_SUBSCRIPTIONGROUP.
	createGroupCode = 200
	// answerBytesMax bounds the broker's answer.
	answerBytesMax = 1 << 20
)

// createGroup does what `mqadmin updateSubGroup` does, which takes seconds to start.
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
		t.Fatalf("ask the broker for a group: %v", err)
	}
	if code, remark := answer(t, conn); code != 0 {
		t.Fatalf("the broker refused to make group %s: %d %s", name, code, remark)
	}
}

// answer reads the header of the broker's answer; code 0 is success.
func answer(t testing.TB, conn net.Conn) (code int, remark string) {
	t.Helper()
	var lengths [2]uint32
	if err := binary.Read(conn, binary.BigEndian, &lengths); err != nil {
		t.Fatalf("read the broker's answer: %v", err)
	}
	// The first byte of the header's length says how it is serialized; 0 is JSON.
	header := make([]byte, min(lengths[1], answerBytesMax))
	if _, err := io.ReadFull(conn, header); err != nil {
		t.Fatalf("read the broker's answer: %v", err)
	}
	var h struct {
		Code   int    `json:"code"`
		Remark string `json:"remark"`
	}
	if err := json.Unmarshal(header, &h); err != nil {
		t.Fatalf("read the broker's answer: %v", err)
	}
	return h.Code, h.Remark
}
