package app

import (
	"errors"
	"fmt"
)

// validatePorts checks that no two ports of the process are the same: one of them would fail to open, as if another program had it.
func (c Config) validatePorts() error {
	ports := []struct{ flag, addr string }{{"--admin", c.Admin.Listen}, {"--internal-listen", c.Internal.Listen}}
	if c.serves() && c.public() {
		ports = append(ports, struct{ flag, addr string }{"--listen", c.HTTP.Listen})
	}
	if c.Boutique.Enabled {
		ports = append(ports, struct{ flag, addr string }{"--online-boutique-listen", c.Boutique.address()})
	}
	var errs []error
	for i, p := range ports {
		for _, q := range ports[:i] {
			if p.addr != "" && q.addr != "" && overlap(p.addr, q.addr) {
				errs = append(errs, fmt.Errorf("%s %s: it is the address of %s as well", p.flag, p.addr, q.flag))
			}
		}
	}
	return errors.Join(errs...)
}
