package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// mainVariable lets the test binary be spillway: tests of signals need a process.
const mainVariable = "SPILLWAY_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// spillway runs a command line in process and returns its output and exit status.
func spillway(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	err := run(t.Context(), args, &out, &diagnostics)
	if err != nil {
		diagnostics.WriteString(err.Error())
	}
	return out.String(), diagnostics.String(), exitStatus(err)
}

// emptyEnvironment unsets the environment's SPILLWAY_ variables, which would change what is tested.
func emptyEnvironment(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "SPILLWAY_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name) // Setenv restores it.
		}
	}
}

func TestRun_ExitStatus(t *testing.T) {
	emptyEnvironment(t)
	t.Chdir(t.TempDir())
	for command, c := range map[string]struct {
		status int
		help   string // the --help that the message points to
	}{
		"":                              {exitOK, ""},
		"--help":                        {exitOK, ""},
		"orders refund --help":          {exitOK, ""},
		"version":                       {exitOK, ""},
		"--version":                     {exitOK, ""},
		"sell":                          {exitUsage, "spillway --help"},
		"all --no-such-flag":            {exitUsage, "spillway all --help"},
		"all --listen 8080":             {exitUsage, "spillway all --help"},
		"all --listen 127.0.0.1:65536":  {exitUsage, "spillway all --help"},
		"all --pay-within x":            {exitUsage, "spillway all --help"},
		"all --mysql-password x":        {exitUsage, "spillway all --help"},
		"all --auth-key short":          {exitUsage, "spillway all --help"},
		"serve":                         {exitUsage, "spillway serve --help"},
		"work --workers x":              {exitUsage, "spillway work --help"},
		"audit --grace -1s":             {exitUsage, "spillway audit --help"},
		"audit":                         {exitFailure, ""},
		"seed":                          {exitFailure, ""},
		"migrate status":                {exitFailure, ""},
		"durability":                    {exitFailure, ""},
		"durability paper":              {exitUsage, "spillway durability --help"},
		"token --customer x":            {exitFailure, ""},
		"token":                         {exitUsage, "spillway token --help"},
		"load --rate 0":                 {exitUsage, "spillway load --help"},
		"orders":                        {exitUsage, "spillway orders --help"},
		"orders list --limit 0":         {exitUsage, "spillway orders list --help"},
		"orders list --url x --token t": {exitUsage, "spillway orders list --help"},
		"orders list --url http://127.0.0.1:1 --token t": {exitFailure, ""},
		"orders refund ID":                            {exitUsage, "spillway orders refund --help"},
		"orders refund ID --reason r --amount x":      {exitUsage, "spillway orders refund --help"},
		"dead-letters show x":                         {exitUsage, "spillway dead-letters show --help"},
		"dead-letters list --token-file no-such-file": {exitFailure, ""},
	} {
		_, stderr, status := spillway(t, strings.Fields(command)...)
		if status != c.status {
			t.Errorf("%q: exit status %d, want %d: %s", command, status, c.status, stderr)
		}
		if c.help != "" && !strings.HasSuffix(stderr, "see `"+c.help+"`") {
			t.Errorf("%q: does not point to `%s`: %s", command, c.help, stderr)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("the commands created %v (%v)", left, err)
	}
}

// TestRun_ErrorsNameWhatToDo: each text has the flag or the command with which it is mended.
func TestRun_ErrorsNameWhatToDo(t *testing.T) {
	emptyEnvironment(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("text", []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{
		"all --listen 127.0.0.1:0 --admin  --tls-cert text --tls-key text": "--tls-cert and --tls-key",
		"load --url http://127.0.0.1:1 --duration 1s":                      "`spillway serve` running there",
		"all --redis":                     "--redis needs a value",
		"serve --mysql-file text --mysql": "--mysql needs a value",
	} {
		if _, stderr, status := spillway(t, strings.Split(command, " ")...); status == exitOK || !strings.Contains(stderr, want) {
			t.Errorf("%q ends with status %d and %q, want %q", command, status, stderr, want)
		}
	}
}

// TestRun_ReadingCommandsCreateNothing: a mistyped --data-dir is an error, not a new shop.
func TestRun_ReadingCommandsCreateNothing(t *testing.T) {
	emptyEnvironment(t)
	parent := t.TempDir()
	missing := filepath.Join(parent, "missing")
	for _, command := range []string{"token --customer x", "migrate status", "seed", "durability", "audit", "orders list", "load --duration 1s"} {
		_, stderr, status := spillway(t, append(strings.Fields(command), "--data-dir", missing)...)
		if status == exitOK || !strings.Contains(stderr, missing) {
			t.Errorf("%s: exit status %d, want an error that names the directory: %s", command, status, stderr)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Errorf("%s created %v (%v)", command, left, err)
		}
	}
}

// TestRun_VariablesOfOpenTelemetry: a value that cannot be used is a wrong setting, as one of a flag is.
func TestRun_VariablesOfOpenTelemetry(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_SDK_DISABLED": "yes", "OTEL_TRACES_EXPORTER": "zipkin", "OTEL_RESOURCE_ATTRIBUTES": "shop", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/missing.pem",
	} {
		t.Run(name, func(t *testing.T) {
			emptyEnvironment(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")
			t.Setenv(name, value)
			data := t.TempDir()
			if _, stderr, status := spillway(t, "migrate", "up", "--data-dir", data); status != exitOK {
				t.Fatalf("migrate: %s", stderr)
			}
			for _, line := range [][]string{{"all", "--listen", "127.0.0.1:0", "--admin", ""}, {"audit"}} {
				_, stderr, status := spillway(t, append(line, "--data-dir", data)...)
				if status != exitUsage || !strings.Contains(stderr, name) && !strings.Contains(stderr, value) {
					t.Errorf("%v ends with status %d and %q; want %d", line, status, stderr, exitUsage)
				}
			}
		})
	}
}

// leaves calls f for each command that does something.
func leaves(n *kong.Node, f func(n *kong.Node)) {
	if n.Leaf() {
		f(n)
	}
	for _, child := range n.Children {
		leaves(child, f)
	}
}

var word = regexp.MustCompile(`'[^']*'|"[^"]*"|[^ ]+`)

// words splits a command line as a shell does, as far as the examples need it.
func words(line string) []string {
	out := word.FindAllString(line, -1)
	for i, w := range out {
		out[i] = strings.Trim(w, `'"`)
	}
	return out
}

// parses fails the test unless the line is a command line, and returns its command.
func parses(t *testing.T, line string) (command string) {
	t.Helper()
	parser, _ := sharedParser()
	k, _, err := parse(parser, words(line)[1:])
	if err != nil {
		t.Errorf("%s: %v", line, err)
		return ""
	}
	return k.Selected().FullPath()
}

var exampleLine = regexp.MustCompile(`(?m)^    (spillway .*)$`)

func TestHelp_EachCommandHasExamplesThatParse(t *testing.T) {
	emptyEnvironment(t)
	parser, _ := sharedParser()
	leaves(parser.Model.Node, func(n *kong.Node) {
		examples := exampleLine.FindAllStringSubmatch(n.Detail, -1)
		if len(examples) == 0 {
			t.Errorf("%s has no examples in its help", n.FullPath())
		}
		for _, e := range examples {
			line, _, _ := strings.Cut(e[1], " | ")
			if command := parses(t, line); command != n.FullPath() {
				t.Errorf("the example %q of %s is one of %q", line, n.FullPath(), command)
			}
		}
	})
}

var readmeCommand = regexp.MustCompile(`(?m)^(?:    )?(?:export .*&& |\w+=\$\()?bin/(spillway [^#)\n]*)`)

func TestREADME_CommandLinesParse(t *testing.T) {
	emptyEnvironment(t)
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := readmeCommand.FindAllStringSubmatch(string(text), -1)
	if len(found) < 10 {
		t.Fatalf("found %d command lines in README.md; the pattern does not match any more", len(found))
	}
	for _, m := range found {
		for _, line := range strings.Split(m[1], " && bin/") {
			parses(t, line)
		}
	}
}

// TestFlags_ClientCommandsShareVariables: commands that call the API take its address and the token from the same variables.
func TestFlags_ClientCommandsShareVariables(t *testing.T) {
	parser, _ := sharedParser()
	want := map[string]string{"url": "SPILLWAY_URL", "token": "SPILLWAY_TOKEN", "token-file": "SPILLWAY_TOKEN_FILE"}
	leaves(parser.Model.Node, func(n *kong.Node) {
		got := map[string]string{}
		for _, f := range n.Flags {
			if _, ok := want[f.Name]; ok {
				got[f.Name] = strings.Join(f.Envs, ",")
			}
		}
		if _, calls := got["url"]; !calls {
			return
		}
		for flag, variable := range want {
			if got[flag] != variable {
				t.Errorf("%s: --%s is set by %q, want %s", n.FullPath(), flag, got[flag], variable)
			}
		}
	})
}

// TestFlags_EachSecretHasAFile: passwords, keys and tokens can be read from files.
func TestFlags_EachSecretHasAFile(t *testing.T) {
	parser, _ := sharedParser()
	secret := regexp.MustCompile(`password$|^token$|key$|^mysql$`)
	notSecret := map[string]bool{"idempotency-key": true, "tls-key": true} // The second is the path of a file.
	leaves(parser.Model.Node, func(n *kong.Node) {
		files := map[string]string{}
		for _, f := range n.Flags {
			files[f.Tag.Get(secretTag)] = strings.Join(f.Envs, ",")
		}
		for _, f := range n.Flags {
			if want := strings.Join(f.Envs, ",") + "_FILE"; secret.MatchString(f.Name) && !notSecret[f.Name] && files[f.Name] != want {
				t.Errorf("%s: the file of --%s is set by %q, want %s", n.FullPath(), f.Name, files[f.Name], want)
			}
		}
	})
}

func TestSecrets_FromFiles(t *testing.T) {
	emptyEnvironment(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := strings.Repeat("k", 32)
	t.Setenv("SPILLWAY_AUTH_KEY_FILE", file("key", key+"\n"))
	withFile, stderr, status := spillway(t, "token", "--customer", "x")
	if status != exitOK || withFile == "" {
		t.Fatalf("exit status %d: %s", status, stderr)
	}
	if _, stderr, status := spillway(t, "token", "--customer", "x", "--auth-key", key); status != exitUsage || !strings.Contains(stderr, "--auth-key-file") {
		t.Errorf("both: exit status %d: %s", status, stderr)
	}
	t.Setenv("SPILLWAY_AUTH_KEY_FILE", file("empty", "\n"))
	if _, stderr, status := spillway(t, "token", "--customer", "x"); status != exitFailure || !strings.Contains(stderr, "is empty") {
		t.Errorf("an empty file: exit status %d: %s", status, stderr)
	}
	t.Setenv("SPILLWAY_AUTH_KEY_FILE", "")
	t.Setenv("SPILLWAY_MYSQL_FILE", file("dsn", "shop@tcp(127.0.0.1:1)/shop"))
	t.Setenv("SPILLWAY_MYSQL_PASSWORD_FILE", file("password", "s3c/r@t:"))
	if _, stderr, status := spillway(t, "seed"); status != exitFailure || !strings.Contains(stderr, "127.0.0.1:1") || strings.Contains(stderr, "s3c/r@t:") {
		t.Errorf("a DSN without a server: exit status %d: %s", status, stderr)
	}
}

func TestCompletion(t *testing.T) {
	emptyEnvironment(t)
	for shell, want := range map[string]string{"bash": "complete ", "zsh": "bashcompinit", "fish": "commandline"} {
		if stdout, stderr, status := spillway(t, "completion", shell); status != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("completion %s: exit status %d: %s%s", shell, status, stdout, stderr)
		}
	}
	for line, want := range map[string]string{
		"spillway ord":                   "orders",
		"spillway orders ":               "refund",
		"spillway orders list --st":      "--state",
		"spillway orders list --output ": "json",
		"spillway --log-level de":        "debug",
		"spillway completion ":           "zsh",
		"spillway token --role=op":       "operator",
		"spillway -":                     "-h",
		"spillway all --log-level info ": "",
	} {
		t.Setenv("COMP_LINE", line)
		stdout, stderr, status := spillway(t)
		if status != exitOK || !strings.Contains(stdout, want) || (want == "") != (stdout == "") {
			t.Errorf("%q completes to %q (exit status %d, %s), want %s among it", line, stdout, status, stderr, want)
		}
	}
}

func TestLogConfig_Formats(t *testing.T) {
	var out bytes.Buffer
	logConfig{Level: "warn", Format: "json"}.logger(&out).LogAttrs(context.Background(), slog.LevelInfo, "quiet")
	if out.Len() > 0 {
		t.Errorf("logged below its level: %s", &out)
	}
}
