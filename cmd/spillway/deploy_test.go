package main

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/test/realparts"
)

// process is a container of the shop, as it is deployed.
type process struct {
	name string
	args []string
	env  map[string]string
	// secrets are the contents of files, by name.
	secrets map[string]string
}

// configured is a command that runs a part of the shop.
type configured interface{ config() app.Config }

// accept fails the test unless spillway accepts the command line and the environment, as far as that is known before it calls a server. It returns the
// configuration, if the command has one.
func (p process) accept(t *testing.T) (cfg app.Config) {
	t.Helper()
	emptyEnvironment(t)
	dir := t.TempDir()
	certificate, key := realparts.Certificate(t)
	for name, value := range p.env {
		if strings.HasSuffix(name, "_FILE") && path.Dir(value) == "/run/secrets/spillway" {
			text, ok := p.secrets[path.Base(value)]
			if !ok {
				t.Errorf("%s names a secret that is missing: %s", name, value)
			}
			value = filepath.Join(dir, path.Base(value))
			if err := os.WriteFile(value, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if path.Dir(value) == "/run/secrets/internal-tls" {
			value = tlsFile(t, path.Base(value), certificate, key)
		}
		t.Setenv(name, value)
	}
	parser, _ := sharedParser()
	k, _, err := parse(parser, p.args)
	if err == nil {
		_, err = readSecrets(k)
	}
	if err != nil {
		t.Fatal(err)
	}
	if command, ok := k.Selected().Target.Addr().Interface().(configured); ok {
		cfg = command.config()
		if err := cfg.Validate(); err != nil {
			t.Error(err)
		}
	}
	return cfg
}

// tlsFile stands for a file of the Secret internal-tls. The certificate is its own authority.
func tlsFile(t *testing.T, name, certificate, key string) string {
	t.Helper()
	file, ok := map[string]string{"tls.crt": certificate, "tls.key": key, "ca.crt": certificate}[name]
	if !ok {
		t.Errorf("the Secret internal-tls has no %s", name)
	}
	return file
}

// variables are the names of all environment variables of the command line.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	parser, _ := sharedParser()
	all := map[string]bool{}
	leaves(parser.Model.Node, func(n *kong.Node) {
		for _, flags := range n.AllFlags(true) {
			for _, f := range flags {
				for _, name := range f.Envs {
					all[name] = true
				}
			}
		}
	})
	return all
}

// checkProcesses checks each as a subtest, and that no setting is misspelt.
func checkProcesses(t *testing.T, processes []process, atLeast int) {
	t.Helper()
	if len(processes) < atLeast {
		t.Fatalf("found %d containers of the shop, want at least %d", len(processes), atLeast)
	}
	known := variables(t)
	for _, p := range processes {
		t.Run(p.name, func(t *testing.T) {
			for name := range p.env {
				if strings.HasPrefix(name, "SPILLWAY_") && !known[name] {
					t.Errorf("%s is no setting", name)
				}
			}
			p.accept(t)
		})
	}
}

// tool runs a program that `make deploy-tools` builds, and returns its output.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	return toolIn(t, ".", name, args...)
}

// toolIn runs it in a directory.
func toolIn(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("..", "..", ".bin", name))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is missing: run `make deploy-tools`", name)
	}
	if err != nil {
		var exit *exec.ExitError
		_ = errors.As(err, &exit)
		t.Fatalf("%s %v: %v\n%s", name, args, err, exit.Stderr)
	}
	return out
}

// minKeyBytes is the shortest --auth-key.
const minKeyBytes = 32
