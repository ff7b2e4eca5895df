package server

import (
	"testing"
	"time"
)

// await is the next value of the channel, or its end. A test that would wait for ever fails, with what it waited for.
func await[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	timer := time.NewTimer(watchWait)
	defer timer.Stop()
	select {
	case v = <-from:
	case <-timer.C:
		t.Fatalf("waited %s in vain for %s", watchWait, what)
	}
	return v
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(watchWait); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", watchWait, what)
		}
		pass(time.Millisecond)
	}
}
