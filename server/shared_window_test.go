package server

import (
	"strconv"
	"testing"
	"time"
)

// TestSharedWindow_EndedWindow: what was counted in a window that has ended is not shared into the next one, where it would fill the key's limit again.
func TestSharedWindow_EndedWindow(t *testing.T) {
	const most = 16
	now := time.Unix(1_800_000_000, 0)
	shared := &fakeBatchCounter{}
	w := newSharedWindow("calls", most, shared, discardLog)
	w.now = func() time.Time { return now }
	for range most {
		if after := w.take("a"); after > 0 {
			t.Fatalf("below the limit: %s", after)
		}
	}
	if w.take("a") == 0 {
		t.Fatal("beyond the limit: no wait")
	}
	now = now.Add(w.window)
	w.share(t.Context())
	if after := w.take("a"); after > 0 || shared.rounds > 0 {
		t.Errorf("in the next window: wait %s after %d rounds of sharing; want no wait and no round", after, shared.rounds)
	}
}

// TestSharedWindow_BoundsDueKeys: with a limit so low that each key is shared, keys that come faster than they are shared are not remembered without end.
func TestSharedWindow_BoundsDueKeys(t *testing.T) {
	w := newSharedWindow("calls", 1, &fakeBatchCounter{}, discardLog)
	for n := range maxWindowKeys + 10 {
		w.take(strconv.Itoa(n))
	}
	if len(w.due) > maxWindowKeys {
		t.Errorf("%d keys wait to be shared; want at most %d", len(w.due), maxWindowKeys)
	}
	w.share(t.Context())
	if len(w.due) > maxWindowKeys-maxShared {
		t.Errorf("%d keys wait after a round; want %d fewer", len(w.due), maxShared)
	}
}
