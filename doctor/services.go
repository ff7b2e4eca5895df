package doctor

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

var serviceChecks = []Check{
	{"services.reachable", "Each service with a URL (`--payment-url` and the like) responds there.", nil, checkServices},
	{"services.token", "They accept the token of this process, which is valid for a week more.", []string{"services.reachable"}, checkServiceToken},
	{"services.tls", "Calls to services on other machines are encrypted.", nil, checkServiceTLS},
}

const (
	// probeTimeout bounds the call of one service, all of which are called at once: a frozen one is named, and not just the check that waits for it.
	probeTimeout = 5 * time.Second
	// tokenSoon is how long before a token expires there is a warning: it is replaced by hand.
	tokenSoon = 7 * 24 * time.Hour
)

// checkServices calls all services, at once.
func checkServices(ctx context.Context, s *session) Result {
	services := s.cfg.Services
	errs := make([]error, len(services))
	var calls sync.WaitGroup
	for i, service := range services {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, min(probeTimeout, s.timeout))
			defer cancel()
			errs[i] = service.Probe(ctx)
		})
	}
	calls.Wait()
	names := make([]string, len(services))
	var refused, fixes, problems []string
	for i, service := range services {
		names[i] = service.Name
		switch {
		case errors.Is(errs[i], ErrTokenRefused):
			refused = append(refused, service.Name)
		case errs[i] != nil:
			problems = append(problems, service.Name+" at "+service.URL+": "+errs[i].Error())
			fixes = append(fixes, service.Advice(errs[i]))
		}
	}
	if len(problems) > 0 {
		return fail(strings.Join(fixes, "; "), "%s", strings.Join(problems, "; "))
	}
	s.refused = refused
	return ok("%s respond", strings.Join(names, ", "))
}

func checkServiceToken(_ context.Context, s *session) Result {
	const (
		fix = "make another one with `spillway token --customer NAME --role service --ttl 8760h`, and put it into the file of --service-token-file, which is read again"
		key = "; or give --auth-key, the same in every process, and no token"
	)
	expires := s.cfg.TokenExpires
	left := expires.Sub(s.now())
	switch {
	case !expires.IsZero() && left <= 0:
		return fail(fix+key, "the token has expired at %s", expires.Format(time.RFC3339))
	case len(s.refused) > 0:
		return fail(fix+key, "%s do not accept the token: it is not of this shop, or has not the role service", strings.Join(s.refused, ", "))
	case expires.IsZero():
		return ok("the token is accepted")
	case left < tokenSoon:
		return warn(fix, "the token expires at %s", expires.Format(time.RFC3339))
	}
	return ok("the token is accepted, until %s", expires.Format(time.RFC3339))
}

func checkServiceTLS(_ context.Context, s *session) Result {
	var plain []string
	for _, service := range s.cfg.Services {
		if !service.TLS && !service.Local {
			plain = append(plain, service.Name+" at "+service.URL)
		}
	}
	if len(plain) > 0 {
		return warn(
			"give their processes --internal-cert-file and --internal-key-file, and use https:// or grpcs:// with --service-ca-file; or let a mesh encrypt it",
			"calls to %s leave this machine in plain text, with the token, and to payment with card numbers",
			strings.Join(plain, ", "),
		)
	}
	return ok("no call leaves this machine in plain text")
}
