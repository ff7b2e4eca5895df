package doctor

import (
	"context"
	"sync"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/store"
)

// session is one diagnosis. What a check sets is read only by checks that need it.
type session struct {
	cfg     Config
	timeout time.Duration // of a check
	// certificateSoon is how long before a certificate expires there is a warning.
	certificateSoon time.Duration
	// unused are the groups of checks that have nothing to check, with the reason.
	unused map[string]string

	now     func() time.Time
	machine machine

	redis    *redisconn.Conn   // set by redis.primary
	instance string            // set by redis.primary
	info     map[string]string // INFO, set by redis.primary
	db       *store.DB         // set by sql.reachable
	server   store.Server      // set by mysql.settings
	recorded string            // durability, set by shop.durability
	refused  []string          // services that refuse the token, set by services.reachable
	epoch    journal.Epoch     // set by shop.epoch; its number is 0 if there is none

	mu      sync.Mutex
	closers []func()
}

func newSession(cfg Config) *session {
	s := &session{cfg: cfg, timeout: checkTimeout, certificateSoon: certificateSoon, now: time.Now, machine: thisMachine(), unused: map[string]string{}}
	if cfg.Redis == nil {
		s.unused["redis"] = "this process uses no Redis outside of it"
	}
	if cfg.SQL == nil {
		s.unused["sql"], s.unused["mysql"], s.unused["shop"] = noSQL, noSQL, noSQL
	} else if cfg.SQL.Addr == "" {
		s.unused["mysql"] = "the database is SQLite"
	}
	if len(cfg.Services) == 0 {
		s.unused["services"] = "this process calls no service at a URL"
	}
	if cfg.Queue == nil {
		s.unused["rocketmq"] = "this process uses no RocketMQ"
	}
	return s
}

const noSQL = "this process uses no database"

// later registers what is called when all checks have ended.
func (s *session) later(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.closers {
		f()
	}
}

// skewLimits: what leases, timeouts and expiry compare are times of different machines. The shortest of them, after which another process takes over an
// unfinished epoch, is 5 s.
const (
	skewWarn = time.Second
	skewFail = 5 * time.Second
)

// clockFix is what to do about a clock.
const clockFix = "synchronise the clocks of both machines, such as with `timedatectl set-ntp true` or chronyd"

// skew compares a clock with that of this process. The other one is right in the middle of the call, so that a slow network is no skew.
func (s *session) skew(ctx context.Context, what string, read func(context.Context) (time.Time, error)) Result {
	before := s.now()
	theirs, err := read(ctx)
	if err != nil {
		return fail(clockFix, "the clock of %s cannot be read: %v", what, err)
	}
	taken := s.now().Sub(before)
	ahead := theirs.Sub(before.Add(taken / 2))
	off, direction := ahead, "ahead of"
	if off < 0 {
		off, direction = -off, "behind"
	}
	off = max(0, off-taken/2)
	found := "the clock of " + what + " is " + off.Round(time.Millisecond).String() + " " + direction + " this machine's"
	switch {
	case off > skewFail:
		return fail(clockFix, "%s", found)
	case off > skewWarn:
		return warn(clockFix, "%s", found)
	}
	return ok("%s", found)
}
