package app

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// HTTPConfig configures the API's port.
type HTTPConfig struct {
	Listen            string        // HOST:PORT; port 0 takes a free one
	Origins           []string      // origins of pages that may call the API
	SessionsPerMinute int           // guest sessions that one client address may start; 0: no limit
	TrustedProxies    []string      // addresses and networks of proxies; their X-Forwarded-For counts
	DrainTimeout      time.Duration // how long a shutdown waits for requests and, on embedded storage, for the workers
}

func (c HTTPConfig) validate() error {
	err := hostPort("--listen", c.Listen)
	if _, perr := c.proxies(); perr != nil {
		err = errors.Join(err, perr)
	}
	if c.SessionsPerMinute < 0 {
		err = errors.Join(err, fmt.Errorf("--session-rate %d: must not be negative", c.SessionsPerMinute))
	}
	if c.DrainTimeout <= 0 {
		err = errors.Join(err, fmt.Errorf("--drain-timeout %s: must be more than nothing", c.DrainTimeout))
	}
	return err
}

// proxies parses TrustedProxies.
func (c HTTPConfig) proxies() ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(c.TrustedProxies))
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if addr, aerr := netip.ParseAddr(text); err != nil && aerr == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies %q: must be an address or a network such as 10.0.0.0/8", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
