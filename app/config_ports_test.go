package app

import (
	"strings"
	"testing"
)

func TestConfig_PortsDiffer(t *testing.T) {
	t.Parallel()
	const shared = "127.0.0.1:9901"
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string // flags in the error; none: it is valid
	}{
		"all different": {func(c *Config) { c.Admin.Listen = "127.0.0.1:9464" }, nil},
		"free ones": {func(c *Config) {
			c.HTTP.Listen, c.Internal.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
		}, nil},
		"public and internal":       {func(c *Config) { c.HTTP.Listen, c.Internal.Listen = shared, shared }, []string{"--listen", "--internal-listen"}},
		"internal and admin":        {func(c *Config) { c.Internal.Listen, c.Admin.Listen = "0.0.0.0:9901", shared }, []string{"--internal-listen", "--admin"}},
		"no public port has a port": {func(c *Config) { c.Services, c.HTTP.Listen, c.Internal.Listen = []string{serviceEmail}, shared, shared }, nil},
	} {
		cfg := alone(serviceCurrency, needsSQL)
		cfg.Internal.Listen = "127.0.0.1:9004"
		c.change(&cfg)
		err := cfg.Validate()
		if (err != nil) != (len(c.want) > 0) {
			t.Errorf("%s: %v", name, err)
		}
		for _, flag := range c.want {
			if !strings.Contains(err.Error(), flag) {
				t.Errorf("%s: %v; want it to name %s", name, err, flag)
			}
		}
	}
}
