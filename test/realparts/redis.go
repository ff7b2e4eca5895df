package realparts

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// redisTimeout is the maximum duration of one command to a private Redis.
const redisTimeout = 10 * time.Second

// appendOnlyDir is the directory of Redis' append-only files, in its own directory.
const appendOnlyDir = "appendonlydir"

// OldRedis is a private Redis in the configuration of `make services`, with an append-only file that is synced every
// second, which can restart with older data.
type OldRedis struct {
	*Proc

	dir string
}

// StartOldRedis starts an OldRedis.
func StartOldRedis(t testing.TB) *OldRedis {
	t.Helper()
	dir := serverDir(t)
	return &OldRedis{Proc: startRedis(t, dir, FreePort(t), "everysec"), dir: dir}
}

// Copy copies the append-only files while Redis runs, as a backup of the disk does. The last command may be truncated.
func (r *OldRedis) Copy() {
	r.t.Helper()
	copied := filepath.Join(r.dir, "copy")
	if err := os.RemoveAll(copied); err != nil {
		r.t.Fatal(err)
	}
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(r.dir, appendOnlyDir))); err != nil {
		r.t.Fatalf("copy the append-only files of Redis: %v", err)
	}
}

// RestartFromCopy kills Redis and restarts it with the copied files.
func (r *OldRedis) RestartFromCopy() {
	r.t.Helper()
	r.Kill9()
	files := filepath.Join(r.dir, appendOnlyDir)
	if err := os.RemoveAll(files); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.dir, "copy"), files); err != nil {
		r.t.Fatalf("put the copy of the append-only files back: %v", err)
	}
	r.Restart()
}

// Follow makes it a replica of the other one and returns when it has the other's data only.
func (r *OldRedis) Follow(primary *OldRedis) {
	r.t.Helper()
	host, port, err := net.SplitHostPort(primary.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	r.must("REPLICAOF", host, port)
	await(r.t, "the replica at "+r.Addr()+" to be in sync", func() bool {
		info, err := r.command("INFO", "replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
}

// Promote makes it a primary again: its run_id stays, its replication id changes.
func (r *OldRedis) Promote() {
	r.t.Helper()
	r.must("REPLICAOF", "NO", "ONE")
}

func (r *OldRedis) must(args ...string) string {
	r.t.Helper()
	reply, err := r.command(args...)
	if err != nil {
		r.t.Fatalf("%v to Redis at %s: %v", args, r.Addr(), err)
	}
	return reply
}

func (r *OldRedis) command(args ...string) (string, error) { return redisCommand(r.Addr(), args...) }

// redisCommand is the command of a Redis without a login.
func redisCommand(addr string, args ...string) (string, error) {
	return redisAccess{}.command(addr, args...)
}

// redisAccess is how a test logs in to its own Redis or Sentinel. The zero value is plain TCP without a login.
type redisAccess struct {
	user, password string
	tls            *tls.Config // nil for plain TCP
}

// dial connects and logs in.
func (a redisAccess) dial(addr string) (net.Conn, *bufio.Reader, error) {
	dialer := &net.Dialer{Timeout: redisTimeout}
	var c net.Conn
	var err error
	if a.tls != nil {
		c, err = tls.DialWithDialer(dialer, "tcp", addr, a.tls)
	} else {
		c, err = dialer.Dial("tcp", addr)
	}
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReader(c)
	err = c.SetDeadline(time.Now().Add(redisTimeout))
	if err == nil && a.user != "" {
		_, err = exchange(c, in, "AUTH", a.user, a.password)
	}
	if err != nil {
		_ = c.Close()
		return nil, nil, err
	}
	return c, in, nil
}

// command sends one command with a status or a bulk string as its reply, and returns the reply.
func (a redisAccess) command(addr string, args ...string) (string, error) {
	c, in, err := a.dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return exchange(c, in, args...)
}

func exchange(out io.Writer, in *bufio.Reader, args ...string) (string, error) {
	if _, err := io.WriteString(out, strings.Join(args, " ")+"\r\n"); err != nil {
		return "", err
	}
	line, err := in.ReadString('\n')
	line = strings.TrimSuffix(line, "\r\n")
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(line, "-") {
		return "", errors.New(line)
	}
	size, bulk := strings.CutPrefix(line, "$")
	if !bulk {
		return strings.TrimPrefix(line, "+"), nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 {
		return "", fmt.Errorf("unexpected reply %q", line)
	}
	text := make([]byte, n)
	_, err = io.ReadFull(in, text)
	return string(text), err
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s", startTimeout, what)
		}
		<-tick.C
	}
}
