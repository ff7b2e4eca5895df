package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// buildTimeout is the maximum duration of `go build` with an empty cache; the RocketMQ client alone takes 45 s.
	buildTimeout = 10 * time.Minute
	// commandTimeout is the maximum duration of `spillway migrate` and `seed`.
	commandTimeout = time.Minute
)

// stage is the environment of a run: the real servers, a directory, the SMTP sink, and the builds under test.
type stage struct {
	redis, rocketmq string
	topic           string
	dir             string // holds binaries and data; removed at the end
	logs            string // a directory
	builds          []*build
	sink            *mailServer
	servers         map[string]int // the real servers' process ids by name
	notes           []string
	children        []*child
}

// openStage prepares a run. The stage is never nil, and must be closed also after an error.
func openStage(ctx context.Context, c *runCmd) (*stage, error) {
	s := &stage{topic: c.Topic, logs: c.Logs}
	var err error
	if s.redis, err = server("SPILLWAY_TEST_REDIS", "Redis"); err != nil {
		return s, err
	}
	if s.rocketmq, err = server("SPILLWAY_TEST_ROCKETMQ", "RocketMQ"); err != nil {
		return s, err
	}
	cfg, err := mysqlConfig()
	if err != nil {
		return s, err
	}
	s.findServers(map[string]string{nameRedis: s.redis, nameMySQL: cfg.Addr, nameProxy: s.rocketmq, nameBroker: brokerAddr(s.rocketmq)})
	if s.dir, err = os.MkdirTemp("", "spillway-bench-"); err != nil {
		return s, err
	}
	if s.logs == "" {
		s.logs = s.dir
	}
	if err := s.openBuilds(ctx, c.Baseline); err != nil {
		return s, err
	}
	err = s.openSink(ctx)
	return s, err
}

// openBuilds compiles this checkout.
func (s *stage) openBuilds(ctx context.Context, baseline string) error {
	progress("building spillway ...")
	binary := filepath.Join(s.dir, "spillway")
	if err := s.command(ctx, buildTimeout, "", nil, "go", "build", "-o", binary, "github.com/spillway/spillway/cmd/spillway"); err != nil {
		return err
	}
	binaries := [][2]string{{buildCurrent, binary}}
	if baseline != "" {
		binaries = append(binaries, [2]string{buildBaseline, baseline})
	}
	for _, b := range binaries {
		opened, err := openBuild(ctx, b[0], b[1])
		if err != nil {
			return err
		}
		s.builds = append(s.builds, opened)
	}
	return nil
}

// command runs a program that ends by itself.
func (s *stage) command(ctx context.Context, limit time.Duration, dir string, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, s.environment(env...)
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
	return append(out, more...)
}

// close ends the children that are left and removes the directory.
func (s *stage) close() error {
	var errs []error
	for _, c := range s.children {
		errs = append(errs, c.stop())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}
