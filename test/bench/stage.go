package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// dialTimeout is the timeout of the check whether a server listens.
	dialTimeout = 2 * time.Second
	// buildTimeout is the maximum duration of `go build` with an empty cache; the RocketMQ client alone takes 45 s.
	buildTimeout = 10 * time.Minute
	// commandTimeout is the maximum duration of `spillway migrate` and `seed`.
	commandTimeout = time.Minute
)

// stage is the environment of a run: the real servers, a fresh database, a directory, and the programs under test.
type stage struct {
	redis, rocketmq string
	dsn             string // of the fresh database
	namespace       string // of the keys in Redis
	dir             string // holds binaries, logs and mails; removed at the end
	spillway        string // the binary
	db              *sql.DB
	children        []*child
	cleaners        []func() error // called last first, after the children have ended
}

// openStage prepares a run. The stage is never nil, and must be closed also after an error.
func openStage(ctx context.Context) (*stage, error) {
	s := &stage{namespace: "bench-" + strings.ToLower(rand.Text())}
	var err error
	if s.redis, err = server("SPILLWAY_TEST_REDIS", "Redis"); err != nil {
		return s, err
	}
	if s.rocketmq, err = server("SPILLWAY_TEST_ROCKETMQ", "RocketMQ"); err != nil {
		return s, err
	}
	if s.dir, err = os.MkdirTemp("", "spillway-bench-"); err != nil {
		return s, err
	}
	s.cleaners = append(s.cleaners, func() error { return os.RemoveAll(s.dir) }, s.deleteKeys)
	if err := s.createDatabase(ctx); err != nil {
		return s, err
	}
	progress("building spillway ...")
	s.spillway = filepath.Join(s.dir, "spillway")
	if err := s.command(ctx, buildTimeout, "", "go", "build", "-o", s.spillway, "github.com/spillway/spillway/cmd/spillway"); err != nil {
		return s, err
	}
	for _, args := range [][]string{{"migrate", "up"}, {"seed"}} {
		if err := s.command(ctx, commandTimeout, s.dir, s.spillway, args...); err != nil {
			return s, err
		}
	}
	return s, nil
}

var errServices = errors.New("run `make services`, or `make bench`, which does")

// server returns the address in the variable, if a server listens there.
func server(variable, what string) (string, error) {
	addr := os.Getenv(variable)
	if addr == "" {
		return "", fmt.Errorf("%s does not say where %s is: %w", variable, what, errServices)
	}
	return addr, reach(what, addr)
}

func reach(what, addr string) error {
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return fmt.Errorf("no %s at %s: %w (%w)", what, addr, errServices, err)
	}
	return c.Close()
}

// command runs a program that ends by itself.
func (s *stage) command(ctx context.Context, limit time.Duration, dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, s.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return nil
}

// environment returns this process' environment without settings of spillway, so that the defaults are measured.
func (s *stage) environment(more ...string) []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SPILLWAY_") {
			out = append(out, v)
		}
	}
	return append(out, append(more, "SPILLWAY_MYSQL="+s.dsn)...)
}

// close ends the children and removes everything that the run created.
func (s *stage) close() error {
	var errs []error
	for _, c := range s.children {
		errs = append(errs, c.stop())
	}
	for i := len(s.cleaners) - 1; i >= 0; i-- {
		errs = append(errs, s.cleaners[i]())
	}
	return errors.Join(errs...)
}
