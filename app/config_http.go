package app

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spillway/spillway/server"
)

// HTTPConfig configures the API's port.
type HTTPConfig struct {
	Listen            string        // HOST:PORT; port 0 takes a free one
	TLSCert, TLSKey   string        // PEM files of the certificate and its key; empty: no TLS
	Origins           []string      // origins of pages that may call the API
	SessionsPerMinute int           // guest sessions that one client address may start; 0: no limit
	Rates             CallRates     // calls of a customer, and of a client address, in a minute
	Connections       int           // connections that are open at once; 0: a default
	Checkouts, Reads  int           // highest limits of the checkouts, and of the reads, that are served at once; 0: a default that depends on the Redis
	LatencyTarget     time.Duration // for the slowest tenth of the checkouts, and of the reads, to which their limits adapt; 0: the limits are fixed
	TrustedProxies    []string      // addresses and networks of proxies; their X-Forwarded-For counts
	Reflection        Reflection    // where the procedures are described
	TraceURL          string        // of the console's links to traces, with {trace} in place of the id; empty: no links
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
	err = errors.Join(err, c.validateConnections(), c.Reflection.validate(), c.Rates.validate())
	if (c.TLSCert == "") != (c.TLSKey == "") {
		err = errors.Join(err, errors.New("--tls-cert and --tls-key: give both or neither"))
	}
	for flag, n := range map[string]int{"--max-checkouts": c.Checkouts, "--max-reads": c.Reads} {
		if n < 0 || n > maxCalls {
			err = errors.Join(err, fmt.Errorf("%s %d: must be 0 to %d", flag, n, maxCalls))
		}
	}
	if c.LatencyTarget != 0 && (c.LatencyTarget < minLatencyTarget || c.LatencyTarget > maxLatencyTarget) {
		err = errors.Join(err, fmt.Errorf("--latency-target %s: must be %s to %s, or 0", c.LatencyTarget, minLatencyTarget, maxLatencyTarget))
	}
	if u, uerr := url.Parse(c.TraceURL); c.TraceURL != "" &&
		(uerr != nil || (u.Scheme != "http" && u.Scheme != "https") || !strings.Contains(c.TraceURL, "{trace}")) {
		err = errors.Join(err, fmt.Errorf("--trace-url %q: must look like https://HOST/trace/{trace}", c.TraceURL))
	}
	if c.DrainTimeout <= 0 {
		err = errors.Join(err, fmt.Errorf("--drain-timeout %s: must be more than nothing", c.DrainTimeout))
	}
	return err
}

// maxCalls bounds the limits: a call holds some 10 kB.
const maxCalls = 65_536

// minLatencyTarget and maxLatencyTarget bound the target: a lone order takes a few milliseconds, and customers wait a second at most.
const (
	minLatencyTarget = 5 * time.Millisecond
	maxLatencyTarget = 10 * time.Second
)

// sqlLatency is how many times LatencyTarget calls may take with durability sql, where a response waits for the transaction before its own and for
// its own, of as many orders as are in progress: with fewer of them, each transaction has less to do, and the rate falls.
const sqlLatency = 3

// admission returns the limits of the calls that are served at once, which counts them in load as well.
func (c HTTPConfig) admission(embedded, sqlDurable bool, load *server.CheckoutLoad) server.AdmissionConfig {
	limits := map[server.Class]int{}
	for class, n := range map[server.Class]int{server.ClassCheckout: c.Checkouts, server.ClassBrowse: c.Reads} {
		switch {
		case n > 0:
			limits[class] = n
		case embedded:
			limits[class] = embeddedInFlight
		}
	}
	latency := c.LatencyTarget
	if sqlDurable {
		latency *= sqlLatency
	}
	return server.AdmissionConfig{Limits: limits, Latency: latency, Load: load}
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
