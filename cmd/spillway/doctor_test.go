package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/spillway/spillway/doctor"
)

// TestDoctor_ExitStatusAndOutput: before a first start nothing fails and nothing is made; a mistake is one of the command line.
func TestDoctor_ExitStatusAndOutput(t *testing.T) {
	emptyEnvironment(t)
	parent := t.TempDir()
	fresh := []string{"--data-dir", filepath.Join(parent, "data"), "--listen", "127.0.0.1:0", "--admin", ""}
	stdout, stderr, status := spillway(t, append([]string{"doctor"}, fresh...)...)
	if status != exitOK || !strings.Contains(stdout, "redis.sentinels and 13 more") || !strings.Contains(stdout, " 0 failed, ") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	stdout, stderr, status = spillway(t, append([]string{"doctor", "all", "-o", "json", "--cors-origin", "*"}, fresh...)...)
	var r doctor.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || status != exitFailure || r.OK || r.Failed != 1 || len(r.Checks) != len(doctor.Checks()) {
		t.Errorf("exit status %d, %v: %s%s", status, err, stdout, stderr)
	}
	strict := append([]string{"doctor", "all", "--strict", "--simulate-carrier", "slow"}, fresh...)
	if stdout, stderr, status = spillway(t, strict...); status != exitFailure || !strings.Contains(stderr, "warnings") {
		t.Errorf("strict: exit status %d: %s%s", status, stdout, stderr)
	}
	for _, line := range []string{"doctor serve", "doctor all --listen 8080", "doctor work --workers x"} {
		if _, stderr, status := spillway(t, strings.Fields(line)...); status != exitUsage {
			t.Errorf("%s: exit status %d: %s", line, status, stderr)
		}
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("the doctor created %v (%v)", left, err)
	}
}

// TestDoctor_SecretsStayOut: neither a wrong password nor a file's is printed, and an open file of a secret is named.
func TestDoctor_SecretsStayOut(t *testing.T) {
	emptyEnvironment(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "dsn")
	if err := os.WriteFile(file, []byte("shop:s3cr3tOfTheShop@tcp(127.0.0.1:1)/shop"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SPILLWAY_REDIS", "redis://shop:redisSecret99@127.0.0.1:1")
	t.Setenv("SPILLWAY_AUTH_KEY", strings.Repeat("keyOfTheShop", 4))
	stdout, stderr, status := spillway(t, "doctor", "serve", "--mysql-file", file, "--listen", "127.0.0.1:0")
	for _, secret := range []string{"s3cr3tOfTheShop", "redisSecret99", "keyOfTheShop"} {
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("%s is printed: %s%s", secret, stdout, stderr)
		}
	}
	if status != exitFailure || !strings.Contains(stdout, file+" (--mysql-file, 644)") || !strings.Contains(stdout, "fail     redis.reachable") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
}

// TestDoctor_HasTheFlagsOfEachRole: the command line of a role is one of the doctor.
func TestDoctor_HasTheFlagsOfEachRole(t *testing.T) {
	parser, _ := sharedParser()
	flags := map[string]map[string]bool{}
	leaves(parser.Model.Node, func(n *kong.Node) {
		flags[commandOf(n)] = map[string]bool{}
		for _, f := range n.Flags {
			flags[commandOf(n)][f.Name+" "+strings.Join(f.Envs, ",")+" "+f.Default] = true
		}
	})
	for _, role := range []string{"all", "serve", "work"} {
		if len(flags[role]) < 20 {
			t.Errorf("%s has %d flags", role, len(flags[role]))
		}
		for f := range flags[role] {
			if !flags["doctor "+role][f] {
				t.Errorf("spillway doctor %s has no flag %s", role, f)
			}
		}
	}
}
