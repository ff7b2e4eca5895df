package workers

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestCountLog_OneLineAnInterval: items are added up, those of the last interval are logged at the end, and without items there is no line.
func TestCountLog_OneLineAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := newCountLog(slog.New(slog.NewTextHandler(&out, nil)), "mails sent")
		c.add(t.Context(), 0)
		for range 25 {
			c.add(t.Context(), 2)
			<-time.After(time.Second)
		}
		c.add(t.Context(), 0)
		c.flush(t.Context())
		c.flush(t.Context())
		var counts []string
		for line := range strings.Lines(out.String()) {
			_, count, _ := strings.Cut(strings.TrimSpace(line), "count=")
			counts = append(counts, count)
		}
		if got := strings.Join(counts, " "); got != "22 22 6" || strings.Count(out.String(), "level=INFO") != 3 {
			t.Errorf("logged %q", out.String())
		}
	})
}
