package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childTimeout bounds what a started spillway does in a second on an idle machine.
const childTimeout = 60 * time.Second

// startChild runs spillway in a process of its own and returns the lines of its stderr, which end with the process.
func startChild(t *testing.T, args ...string) (cmd *exec.Cmd, lines <-chan string) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), mainVariable+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // It may have ended.
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			out <- s.Text()
		}
	}()
	return cmd, out
}

// waitForLine returns the first line that contains the text.
func waitForLine(t *testing.T, lines <-chan string, text string) string {
	t.Helper()
	timeout := time.After(childTimeout)
	var seen []string
	for {
		select {
		case line, ok := <-lines:
			seen = append(seen, line)
			if strings.Contains(line, text) {
				return line
			}
			if !ok {
				t.Fatalf("ended without %q:\n%s", text, strings.Join(seen, "\n"))
			}
		case <-timeout:
			t.Fatalf("waited %s in vain for %q:\n%s", childTimeout, text, strings.Join(seen, "\n"))
		}
	}
}

func TestSignals_FirstLogsWhatIsAwaitedSecondEndsAtOnce(t *testing.T) {
	emptyEnvironment(t)
	cmd, lines := startChild(t, "all", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--drain-timeout", "10m")
	started := waitForLine(t, lines, "taking orders")
	url := started[strings.Index(started, "url=")+len("url="):]
	url, _, _ = strings.Cut(url, " ")

	// A request with an endless body delays the shutdown.
	body, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = write.Close() }()
	sent := make(chan struct{})
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteHeaders: sync.OnceFunc(func() { close(sent) })})
	go func() {
		req, _ := http.NewRequestWithContext(trace, http.MethodPost, url+"/spillway.v1.SessionService/StartGuestSession", body)
		req.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	if _, err := fmt.Fprint(write, "{"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-sent:
	case <-time.After(childTimeout):
		t.Fatalf("the request was not sent within %s", childTimeout)
	}
	inFlight(t, url)

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitForLine(t, lines, "a second signal ends the process at once")
	if line := waitForLine(t, lines, "waiting for requests under way"); !strings.Contains(line, "deadline=") {
		t.Errorf("no deadline: %s", line)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	waitForLine(t, lines, "ended at once")
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != exitFailure {
		t.Errorf("exit status %d, want %d", status, exitFailure)
	}
}

// inFlight returns when the server has accepted the connection of the request before: it serves another one.
func inFlight(t *testing.T, url string) {
	t.Helper()
	resp, err := http.Get(url + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}
