package realparts

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// portVariable makes TestFreePort_OtherProcess the other process: it tries to get the port.
const portVariable = "SPILLWAY_TEST_PORT"

// TestFreePort_OtherProcess: a port that waits for its server to come back is not handed out by the tests of another package.
func TestFreePort_OtherProcess(t *testing.T) {
	if text := os.Getenv(portVariable); text != "" {
		port, err := strconv.Atoi(text)
		if err != nil || takeAll(port, []int{0}) {
			t.Errorf("the port %s was taken twice (%v)", text, err)
		}
		return
	}
	port := FreePort(t)
	other := exec.Command(os.Args[0], "-test.run=^TestFreePort_OtherProcess$")
	other.Env = append(os.Environ(), portVariable+"="+port)
	if out, err := other.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
