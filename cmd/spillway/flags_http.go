package main

import (
	"time"

	"github.com/spillway/spillway/app"
)

// httpFlags configure the API's port.
type httpFlags struct {
	Listen      string        `name:"listen" env:"SPILLWAY_LISTEN" default:"${listen}" placeholder:"HOST:PORT" help:"Where the API listens: Connect, gRPC and gRPC-Web on one port."`
	Origins     []string      `name:"cors-origin" env:"SPILLWAY_CORS_ORIGINS" placeholder:"ORIGIN" help:"An origin with pages that may call the API, such as https://shop.example; may be repeated."`
	SessionRate int           `name:"session-rate" env:"SPILLWAY_SESSION_RATE" default:"${session_rate}" help:"How many guest sessions one client address (IPv6: one /64) may start in a minute, in each process; 0 is no limit. Calls with an operator's or a service's token are exempt."`
	Proxies     []string      `name:"trusted-proxies" env:"SPILLWAY_TRUSTED_PROXIES" placeholder:"CIDR" help:"The proxies with a trusted X-Forwarded-For header, such as 10.0.0.0/8; may be repeated. Without any, the client's address is that of the connection."`
	Drain       time.Duration `name:"drain-timeout" env:"SPILLWAY_DRAIN_TIMEOUT" default:"${drain_timeout}" help:"How long a shutdown waits for requests under way and, on embedded storage, for the workers."`
}

func (f httpFlags) config() app.HTTPConfig {
	return app.HTTPConfig{Listen: f.Listen, Origins: f.Origins, SessionsPerMinute: f.SessionRate, TrustedProxies: f.Proxies, DrainTimeout: f.Drain}
}
