package journal_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/spillway/spillway/journal"
)

// TestEpochs_FlushedByAnotherProcess: while entries of the journal reach SQL, some process finds Redis, whether it records that or not.
func TestEpochs_FlushedByAnotherProcess(t *testing.T) {
	st, k, lines := switched(t, "journal")
	lines[0].cut(true)
	for i := range 3 * attempts {
		st.mu.Lock()
		st.open().LastID = fmt.Sprintf("%d-0", i+1)
		st.mu.Unlock()
		k[0].finds(0, "")
	}
	if got := st.steps(); !slices.Equal(got, []string{"open 1 in redis"}) {
		t.Errorf("done: %v", got)
	}
	k[0].finds(2, journal.ModeSQL) // Nothing has reached SQL since the check before.
}

// TestEpochs_DurabilityChanged: the journal has entries that were acknowledged before the setting was changed to sql. Without Redis the shop waits for it, instead
// of selling their units again in SQL; with it they are flushed first, in an epoch of their own.
func TestEpochs_DurabilityChanged(t *testing.T) {
	st, k, lines := switched(t, "sql")
	st.open().Undrained = true
	lines[0].cut(true)
	for range 2 * attempts {
		k[0].finds(0, "")
	}
	st.steps()
	lines[0].cut(false)
	k[0].finds(2, journal.ModeRedis)
	if got, want := st.steps(), []string{"drain 1", "drained 1", "drain 1", "open 2 in redis"}; !slices.Equal(got, want) {
		t.Errorf("when Redis is back: %v; want %v", got, want)
	}
	k[1].finds(2, journal.ModeRedis)
	lines[0].cut(true)
	for range attempts - 1 {
		k[0].finds(0, "")
	}
	k[0].finds(3, journal.ModeSQL)
}
