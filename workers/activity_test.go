package workers_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/workers"
)

func TestActivity_ActiveWithinTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a workers.Activity
		if a.Active(time.Hour) {
			t.Error("a new Activity is active")
		}
		a.Mark()
		<-time.After(300 * time.Millisecond) // By the bubble's clock.
		if !a.Active(300*time.Millisecond) || a.Active(299*time.Millisecond) {
			t.Error("300 ms after a mark it must be active within 300 ms, and not within 299 ms")
		}
	})
}

func TestActivity_NilIsNeverActive(t *testing.T) {
	var a *workers.Activity
	a.Mark()
	if a.Active(time.Hour) {
		t.Error("a nil Activity is active")
	}
}
