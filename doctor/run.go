package doctor

import (
	"context"
	"strings"
	"time"
	"unicode"
)

// Run makes all checks of the configuration. It returns when each has a result: within some checkTimeout, also when nothing responds.
func Run(ctx context.Context, cfg Config) Report {
	s := newSession(cfg)
	defer s.close()
	return s.report(ctx, Checks())
}

func (s *session) report(ctx context.Context, checks []Check) Report {
	began := s.now()
	results := s.runAll(ctx, checks)
	r := Report{Role: s.cfg.Role, Time: began.UTC(), Checks: make([]Line, len(checks))}
	for i, c := range checks {
		r.Checks[i] = Line{Name: c.Name, Status: results[i].Status, Found: s.clean(results[i].Found), Fix: s.clean(results[i].Fix)}
		r.count(results[i].Status)
	}
	return r
}

// progress is a check under way. result is set when done is closed.
type progress struct {
	done   chan struct{}
	result Result
}

func (s *session) runAll(ctx context.Context, checks []Check) []Result {
	all := make(map[string]*progress, len(checks))
	for _, c := range checks {
		all[c.Name] = &progress{done: make(chan struct{})}
	}
	places := make(chan struct{}, maxParallel)
	for _, c := range checks {
		go func() {
			p := all[c.Name]
			defer close(p.done)
			if p.result = s.skip(c, all); p.result.Status != "" {
				return
			}
			places <- struct{}{}
			defer func() { <-places }()
			p.result = s.bounded(ctx, c)
		}()
	}
	out := make([]Result, len(checks))
	for i, c := range checks {
		<-all[c.Name].done
		out[i] = all[c.Name].result
	}
	return out
}

// skip waits for what the check needs, and returns why it is skipped; the zero Result if it is not.
func (s *session) skip(c Check, all map[string]*progress) Result {
	group, _, _ := strings.Cut(c.Name, ".")
	if reason := s.unused[group]; reason != "" {
		return unused("%s", reason)
	}
	for _, name := range c.needs {
		<-all[name].done
		switch r := all[name].result; {
		case r.Status == Fail:
			return blocked("%s failed", name)
		case !r.passes():
			return blocked("%s was skipped", name)
		}
	}
	return Result{}
}

// bounded runs a check in its time. One that does not end is left behind: nothing that it sets is read, because what needs it is skipped.
func (s *session) bounded(ctx context.Context, c Check) Result {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	result := make(chan Result, 1)
	go func() { result <- c.run(ctx, s) }()
	select {
	case r := <-result:
		return r
	case <-ctx.Done():
	}
	// A check that heeds its context ends now, with a better reason than this one.
	select {
	case r := <-result:
		return r
	case <-time.After(s.timeout / 8):
		return fail("find out what holds it up: the server may be frozen or overloaded", "no result within %s", s.timeout)
	}
}

// redacted replaces secrets.
const redacted = "[secret]"

// minSecret is the length in bytes below which a secret is not replaced: a password such as "a" is part of many words.
const minSecret = 4

// clean removes what must not be printed: secrets, and characters that move a cursor or turn a line.
func (s *session) clean(text string) string {
	for _, secret := range s.cfg.Secrets {
		if len(secret) >= minSecret {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	return text
}
