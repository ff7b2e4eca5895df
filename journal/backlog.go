package journal

import (
	"context"
	"time"
)

// Backlog is what the journals of all epochs hold.
type Backlog struct {
	// Entries is their number; the relay trims those that it has relayed.
	Entries int64
	// Oldest is when the oldest entry was appended that is not relayed and acknowledged; zero if there is none.
	Oldest time.Time
}

// Backlog reads the backlog. It needs no relay: the backlog of a dead one is visible.
func (j *Journal) Backlog(ctx context.Context) (b Backlog, err error) {
	epochs, err := j.Epochs(ctx)
	if err != nil {
		return b, err
	}
	var unsent Unread
	for _, epoch := range epochs {
		s, err := j.stream(ctx, epoch)
		if err != nil {
			return b, err
		}
		oldest, err := j.unread(ctx, epoch, s, s.unrelayed, 1)
		if err != nil {
			return b, err
		}
		b.Entries += s.length
		unsent.add(oldest)
	}
	b.Oldest = unsent.Oldest
	return b, nil
}
