package workers

import (
	"errors"
	"strings"
	"testing"
)

// TestForEachErr_FewErrorsAreKept: in an outage each item of an iteration fails, and its log line must not grow with them.
func TestForEachErr_FewErrorsAreKept(t *testing.T) {
	items := make([]int, recoveryBatch)
	done, err := forEachErr(recoveryConcurrency, items, func(int) error { return errNoResponse })
	if done != 0 || err == nil || strings.Count(err.Error(), errNoResponse.Error()) != maxJoinedErrors || !strings.Contains(err.Error(), "and 97 more") {
		t.Errorf("%d done: %v", done, err)
	}
	if done, err := forEachErr(recoveryConcurrency, items, func(int) error { return nil }); done != recoveryBatch || err != nil {
		t.Errorf("%d done: %v", done, err)
	}
}

var errNoResponse = errors.New("no response")
