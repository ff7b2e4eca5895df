package app

import "net"

// urlOf is the URL of a port; empty without one.
func urlOf(l net.Listener, encrypted bool) string {
	switch {
	case l == nil:
		return ""
	case encrypted:
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// onLoopback reports whether only this machine reaches the port. There must be one.
func onLoopback(l net.Listener) bool {
	addr, ok := l.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// isLoopback reports whether the host of an address is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// overlap reports whether two addresses have one port that both cannot listen on.
func overlap(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || isWildcard(hostA) || isWildcard(hostB))
}

func isWildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
