package redisconn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Address locates Redis: one host, or the Sentinels that know the primary. The zero Address is none.
type Address struct {
	// Addr is the host:port of the only Redis; empty with Sentinels.
	Addr string
	// Sentinels are the host:port of each Sentinel, and Primary is the name under which they monitor the primary.
	Sentinels []string
	Primary   string
	// Username and Password are for Redis, not for the Sentinels.
	Username, Password string
	TLS                bool
}

const (
	defaultRedisPort    = "6379"
	defaultSentinelPort = "26379"
	// maxSentinels bounds the connections of one look-up: Redis recommends three or five.
	maxSentinels = 16
	maxPort      = 65535
)

// primaryPattern is what Redis accepts as a name after `sentinel monitor`.
var primaryPattern = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

// The schemes of an address.
const (
	schemeRedis       = "redis"
	schemeRedisTLS    = "rediss"
	schemeSentinel    = "redis-sentinel"
	schemeSentinelTLS = "rediss-sentinel"
)

// ParseAddress reads HOST:PORT, redis://[USER:PASSWORD@]HOST[:PORT], or redis-sentinel://[USER:PASSWORD@]HOST[:PORT],…/PRIMARY; rediss and
// rediss-sentinel are the same over TLS. User and password may be percent-encoded. Errors contain neither.
func ParseAddress(text string) (Address, error) {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		return parseNoURL(text)
	}
	a := Address{TLS: scheme == schemeRedisTLS || scheme == schemeSentinelTLS}
	sentinel := scheme == schemeSentinel || scheme == schemeSentinelTLS
	if !sentinel && scheme != schemeRedis && scheme != schemeRedisTLS {
		return Address{}, errors.New("the scheme must be redis, rediss, redis-sentinel or rediss-sentinel")
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := a.parseUser(rest[:at]); err != nil {
			return Address{}, err
		}
		rest = rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	var err error
	if sentinel {
		err = a.parseSentinels(hosts, path)
	} else {
		err = a.parseRedis(hosts, path)
	}
	if err != nil {
		return Address{}, err
	}
	return a, nil
}

// parseNoURL reads HOST:PORT.
func parseNoURL(text string) (Address, error) {
	addr, err := parseOnlyHost(text, "")
	scheme, rest, _ := strings.Cut(text, ":") // A host may have the name of a scheme.
	isHost := strings.Trim(rest, "0123456789") == ""
	if err != nil && !isHost && slices.Contains([]string{schemeRedis, schemeRedisTLS, schemeSentinel, schemeSentinelTLS}, scheme) {
		err = fmt.Errorf("two slashes must follow the scheme: %s://", scheme)
	}
	return Address{Addr: addr}, err
}

func (a *Address) parseUser(text string) error {
	user, password, _ := strings.Cut(text, ":")
	var errs [2]error
	a.Username, errs[0] = url.PathUnescape(user)
	a.Password, errs[1] = url.PathUnescape(password)
	if errors.Join(errs[:]...) != nil { // It quotes what it could not read.
		return errors.New("user or password: a % must be followed by two hexadecimal digits (%25 is a %)")
	}
	return nil
}

func (a *Address) parseRedis(host, path string) (err error) {
	if path != "" && path != "0" {
		return errors.New("only database 0 can be used: leave out what follows the host")
	}
	a.Addr, err = parseOnlyHost(host, defaultRedisPort)
	return err
}

// parseOnlyHost is parseHost with a hint for a list.
func parseOnlyHost(text, defaultPort string) (string, error) {
	addr, err := parseHost(text, defaultPort)
	if err != nil && strings.Contains(text, ",") {
		return "", errors.New("only Sentinels can be several: redis-sentinel://HOST,HOST,HOST/PRIMARY, or rediss-sentinel over TLS")
	}
	return addr, err
}

func (a *Address) parseSentinels(hosts, path string) error {
	for host := range strings.SplitSeq(hosts, ",") {
		addr, err := parseHost(host, defaultSentinelPort)
		switch {
		case err != nil:
			return err
		case slices.Contains(a.Sentinels, addr):
			return fmt.Errorf("the Sentinel %s is listed twice: each counts once for the majority", addr)
		case len(a.Sentinels) == maxSentinels:
			return fmt.Errorf("more than %d Sentinels", maxSentinels)
		}
		a.Sentinels = append(a.Sentinels, addr)
	}
	if !primaryPattern.MatchString(path) {
		return errors.New("the Sentinels must be followed by a slash and the name under which they monitor the primary, such as /mymaster")
	}
	a.Primary = path
	return nil
}

// parseHost returns HOST:PORT, with the default port unless that is empty, which makes the port required.
func parseHost(text, defaultPort string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil && defaultPort != "" {
		host, port, err = net.SplitHostPort(text + ":" + defaultPort)
	}
	if err != nil || strings.ContainsAny(host, "/?#@, \t\r\n") {
		return "", errors.New("a host must be HOST:PORT, or [IPV6]:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("the port of host %q must be 1 to %d", host, maxPort)
	}
	if host == "" && defaultPort != "" {
		return "", errors.New("a host is empty")
	}
	return net.JoinHostPort(host, port), nil
}
