package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/redisconn"
)

var (
	// ErrElsewhere means that other processes of the shop find the open epoch in another Redis, or under another namespace. This process opens none while they do:
	// they would take it for a Redis that lost its data, close it, and so on.
	ErrElsewhere = errors.New("other processes of this shop use another Redis, or another --redis-namespace")
	// ErrUndecided means that this process waits to see whether it is ErrElsewhere, for at most checkTimeout and maxSilent: a confirmation within the first
	// proves nothing, and another one follows within the second.
	ErrUndecided = errors.New("waiting to see whether other processes use the open epoch")
)

const (
	// maxSilent is the time without a confirmation after which an epoch is not in use: a process that is on it confirms it at least every seenInterval and a
	// check's time.
	maxSilent = 2 * seenInterval
	// longSilent is after how long without a confirmation there is no waiting. The clocks of two machines may differ by the difference to maxSilent.
	longSilent = time.Minute
	// rebuilding begins the value of the epoch key while a process opens an epoch.
	rebuilding = "rebuild:"
)

// elsewhere is what the checks saw since the open epoch, which this process never was on, is not in its Redis.
type elsewhere struct {
	// since is when that was found; sign is the last confirmation by others, and changed when it was read first.
	since, changed time.Time
	sign           sign
	proven         bool
}

// sign shows that a process is on an epoch: it has opened or confirmed it.
type sign struct {
	number int64
	at     int64 // Unix time, in ns, by its clock
}

func signOf(e Epoch) sign {
	at := e.OpenedAt
	if e.SeenAt.After(at) {
		at = e.SeenAt
	}
	return sign{number: e.Number, at: at.UnixNano()}
}

func (s sign) time() time.Time { return time.Unix(0, s.at) }

// check returns nil if the epoch is not in use any more, so that it can be replaced.
func (w *elsewhere) check(epoch Epoch, now time.Time) error {
	s := signOf(epoch)
	switch {
	case w.since.IsZero():
		*w = elsewhere{since: now, changed: now, sign: s}
		if now.Sub(s.time()) > longSilent {
			w.changed = now.Add(-maxSilent)
		}
	case s != w.sign:
		w.changed, w.sign = now, s
		// A check of the other process that began before this one's may have found Redis as it was before.
		w.proven = now.Sub(w.since) >= checkTimeout
	}
	switch {
	case now.Sub(w.changed) >= maxSilent:
		return nil
	case w.proven:
		return ErrElsewhere
	}
	return ErrUndecided
}

// checkElsewhere returns ErrElsewhere or ErrUndecided if the open epoch may be in use where this process does not look. A process that was on the epoch
// replaces it at once, because it saw it in its own Redis; so does one with a Redis that was started after the last confirmation, and has lost it.
func (e *Epochs) checkElsewhere(ctx context.Context, epoch Epoch, instance, reason string) error {
	if epoch.Number == 0 || epoch.Mode == ModeSQL || e.cfg.Conn.Embedded() || e.wasOn(epoch.Number) {
		return nil
	}
	switch reason {
	case reasonInstance:
		// With Sentinels a majority of them decides, also while some processes still find the old primary.
		if e.cfg.Conn.HasSentinels() || redisconn.RunID(instance) == redisconn.RunID(epoch.Instance) {
			return nil
		}
		started, err := e.cfg.Conn.Started(ctx)
		if err != nil {
			return err
		}
		if started.After(signOf(epoch).time().Add(-time.Second)) { // It is known to a second.
			return nil
		}
	case reasonWiped:
	default:
		return nil
	}
	return e.foundElsewhere(epoch, instance)
}

func (e *Epochs) foundElsewhere(epoch Epoch, instance string) error {
	err := e.elsewhere.check(epoch, time.Now())
	if err == nil {
		return nil
	}
	e.cfg.Conn.Disallow()
	err = fmt.Errorf("epoch %d was confirmed %s ago, and is not in this process's Redis (%s) in the namespace %q: %w; start all processes with the same "+
		"--redis and --redis-namespace, or stop the others first", epoch.Number, time.Since(signOf(epoch).time()).Round(time.Second), instance,
		e.cfg.Keys.Namespace, err)
	e.suspend(err)
	return err
}

// wasOn reports whether this process has used the epoch.
func (e *Epochs) wasOn(number int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.used == number
}

// isRebuilding reports whether the value of the epoch key is that of a process that opens an epoch.
func isRebuilding(value string) bool { return strings.HasPrefix(value, rebuilding) }
