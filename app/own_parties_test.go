package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestConfig_OwnExternalServices: a process that would have a simulated provider or carrier of its own beside those of others warns of it at its start.
func TestConfig_OwnExternalServices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		role              Role
		change            func(*Config)
		provider, carrier bool
	}{
		"one process":              {role: RoleAll},
		"serve":                    {role: RoleServe, provider: true},
		"work":                     {role: RoleWork, provider: true, carrier: true},
		"serve with a file":        {role: RoleServe, change: func(c *Config) { c.External.Provider.File = "p" }},
		"work with files":          {role: RoleWork, change: func(c *Config) { c.External.Provider.File, c.External.Carrier.File = "p", "c" }},
		"serve with a URL":         {role: RoleServe, change: func(c *Config) { c.Remote.Payment = "http://payment:9001" }},
		"work with URLs":           {role: RoleWork, change: func(c *Config) { c.Remote.Payment, c.Remote.Shipping = "http://payment:9001", "http://shipping:9001" }},
		"work with one URL":        {role: RoleWork, change: func(c *Config) { c.Remote.Payment = "http://payment:9001" }, carrier: true},
		"the service":              {role: RoleServe, change: func(c *Config) { c.Services, c.Internal.Listen = []string{servicePayment}, "127.0.0.1:9001" }},
		"serve that others call":   {role: RoleServe, change: func(c *Config) { c.Internal.Listen = "127.0.0.1:9001" }},
		"a service that calls":     {role: RoleServe, change: func(c *Config) { c.Services = []string{serviceOrder} }, provider: true},
		"a service without either": {role: RoleServe, change: func(c *Config) { c.Services = []string{serviceCart} }},
		"workers without either":   {role: RoleWork, change: func(c *Config) { c.Workers = []string{workerFlusher, workerMailer} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := DefaultConfig(c.role)
			if c.change != nil {
				c.change(&cfg)
			}
			var log bytes.Buffer
			cfg.warnOwn(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
			if got := strings.Contains(log.String(), "--payment-url"); got != c.provider || cfg.ownProvider() != c.provider {
				t.Errorf("warns of the provider: %t, want %t: %s", got, c.provider, &log)
			}
			if got := strings.Contains(log.String(), "--shipping-url"); got != c.carrier {
				t.Errorf("warns of the carrier: %t, want %t: %s", got, c.carrier, &log)
			}
		})
	}
}
