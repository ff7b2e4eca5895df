package app

import (
	"errors"
	"fmt"

	"github.com/spillway/spillway/server"
)

// CallRates bound the calls of a minute, of all processes together; 0: no limit.
type CallRates struct {
	CustomerReads, CustomerWrites int
	AddressReads, AddressWrites   int
}

func defaultCallRates() CallRates {
	d := server.DefaultCallRates()
	return CallRates{CustomerReads: d.CustomerReads, CustomerWrites: d.CustomerWrites, AddressReads: d.AddressReads, AddressWrites: d.AddressWrites}
}

func (c CallRates) validate() (err error) {
	for flag, n := range map[string]int{
		"--customer-reads": c.CustomerReads, "--customer-writes": c.CustomerWrites, "--address-reads": c.AddressReads, "--address-writes": c.AddressWrites,
	} {
		if n < 0 {
			err = errors.Join(err, fmt.Errorf("%s %d: must not be negative", flag, n))
		}
	}
	return err
}

// callRates makes the limits. The Redis in the process has no other process to share with.
func (b *builder) callRates() *server.CallRates {
	c := b.cfg.HTTP.Rates
	cfg := server.CallRateConfig{
		CustomerReads: c.CustomerReads, CustomerWrites: c.CustomerWrites, AddressReads: c.AddressReads, AddressWrites: c.AddressWrites, Log: b.deps.log,
	}
	if b.events != nil && !b.cfg.Redis.embedded() {
		cfg.Shared = b.events
	}
	return server.NewCallRates(cfg)
}
