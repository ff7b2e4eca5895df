package mail

import (
	"slices"
	"sync"
	"time"
)

// idleSessions are open connections that no goroutine uses. They are closed after maxIdleConnection. The zero value is empty. It is safe for
// concurrent use.
type idleSessions struct {
	mu     sync.Mutex
	closed bool
	// list has the session that was used last at its end.
	list []idleSession
}

// idleSession is a connection and the timer that closes it.
type idleSession struct {
	*smtpSession
	timer *time.Timer
}

// take returns the session that was used last, or nil if there is none.
func (i *idleSessions) take() *smtpSession {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.list) > 0 {
		last := i.list[len(i.list)-1]
		i.list = i.list[:len(i.list)-1]
		if last.timer.Stop() {
			return last.smtpSession
		}
		// The timer has fired and closes the session.
	}
	return nil
}

// put keeps a usable session, which may be nil, for the next mail.
func (i *idleSessions) put(s *smtpSession) {
	if s != nil && !i.keep(s) {
		s.close()
	}
}

// keep adds the session to the list, unless the list is closed.
func (i *idleSessions) keep(s *smtpSession) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	s.reset = true
	i.list = append(i.list, idleSession{s, time.AfterFunc(maxIdleConnection, func() { i.expire(s) })})
	return true
}

// expire closes a session that was idle for too long.
func (i *idleSessions) expire(s *smtpSession) {
	i.mu.Lock()
	i.list = slices.DeleteFunc(i.list, func(other idleSession) bool { return other.smtpSession == s })
	i.mu.Unlock()
	s.close()
}

// close closes all sessions, and each that is put later.
func (i *idleSessions) close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	for s := i.take(); s != nil; s = i.take() {
		s.close()
	}
}
