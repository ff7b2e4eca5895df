package journal

import (
	"errors"
	"testing"
	"time"
)

// TestElsewhere_Decides replays what checks read of the open epoch, at times in seconds after the first.
func TestElsewhere_Decides(t *testing.T) {
	type read struct {
		at, seen int // the time of the check, and that of the last confirmation
		number   int64
		want     error
	}
	for name, reads := range map[string][]read{
		"confirmed again and again": {
			{0, -2, 1, ErrUndecided}, {4, 3, 1, ErrUndecided}, {9, 8, 1, ErrElsewhere}, {12, 8, 1, ErrElsewhere}, {14, 13, 1, ErrElsewhere},
		},
		"confirmed by a check that had begun before": {{0, -2, 1, ErrUndecided}, {1, 0, 1, ErrUndecided}, {10, 0, 1, ErrUndecided}, {11, 0, 1, nil}},
		"no process is left":                         {{0, -2, 1, ErrUndecided}, {9, -2, 1, ErrUndecided}, {10, -2, 1, nil}, {11, -2, 1, nil}},
		"the others stop":                            {{0, -2, 1, ErrUndecided}, {9, 8, 1, ErrElsewhere}, {18, 8, 1, ErrElsewhere}, {19, 8, 1, nil}},
		"the others open an epoch after another":     {{0, -2, 1, ErrUndecided}, {6, 6, 2, ErrElsewhere}},
		"silent for long":                            {{0, -120, 1, nil}, {1, -120, 1, nil}},
		"silent for long, and then not":              {{0, -120, 1, nil}, {6, 5, 1, ErrElsewhere}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			after := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
			var w elsewhere
			for _, r := range reads {
				e := Epoch{Number: r.number, OpenedAt: after(-300), SeenAt: after(r.seen)}
				if err := w.check(e, after(r.at)); !errors.Is(err, r.want) || (err == nil) != (r.want == nil) {
					t.Errorf("after %d s: %v; want %v", r.at, err, r.want)
				}
			}
		})
	}
}
