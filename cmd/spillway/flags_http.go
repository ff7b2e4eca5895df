package main

import (
	"time"

	"github.com/spillway/spillway/app"
)

// httpFlags configure the API's port.
type httpFlags struct {
	Listen         string        `name:"listen" env:"SPILLWAY_LISTEN" default:"${listen}" placeholder:"HOST:PORT" help:"Where the API listens: Connect, gRPC and gRPC-Web on one port."`
	TLSCert        string        `name:"tls-cert" env:"SPILLWAY_TLS_CERT" placeholder:"PATH" help:"A PEM file with the certificate of the API, and those between it and its authority: then the port speaks TLS only. It is read again when it changes."`
	TLSKey         string        `name:"tls-key" env:"SPILLWAY_TLS_KEY" placeholder:"PATH" help:"The PEM file of its private key."`
	Origins        []string      `name:"cors-origin" env:"SPILLWAY_CORS_ORIGINS" placeholder:"ORIGIN" help:"An origin with pages that may call the API, such as https://shop.example; may be repeated."`
	SessionRate    int           `name:"session-rate" env:"SPILLWAY_SESSION_RATE" default:"${session_rate}" help:"How many guest sessions one client address (IPv6: one /64) may start in a minute, in all processes together; 0 is no limit. Calls with an operator's or a service's token are exempt."`
	CustomerReads  int           `name:"customer-reads" env:"SPILLWAY_CUSTOMER_READS" default:"${customer_reads}" help:"How many calls that only read a customer may make in a minute, in all processes together; 0 is no limit. Calls of operators and services are exempt."`
	CustomerWrites int           `name:"customer-writes" env:"SPILLWAY_CUSTOMER_WRITES" default:"${customer_writes}" help:"The same of calls that change something: sessions, carts, orders, payments, cancellations."`
	AddressReads   int           `name:"address-reads" env:"SPILLWAY_ADDRESS_READS" default:"${address_reads}" help:"How many calls that only read one client address (IPv6: one /64) may make in a minute, in all processes together; 0 is no limit. Many customers may share an address. Exempt are addresses of the machine itself, operators and services."`
	AddressWrites  int           `name:"address-writes" env:"SPILLWAY_ADDRESS_WRITES" default:"${address_writes}" help:"The same of calls that change something."`
	Connections    int           `name:"max-connections" env:"SPILLWAY_MAX_CONNECTIONS" placeholder:"N" help:"How many connections the API's port has open at once; beyond it new ones wait. One client address (IPv6: one /64) has at most a quarter of them, unless it is one of --trusted-proxies. Without it 16384, or fewer if the process may not open as many files."`
	Checkouts      int           `name:"max-checkouts" env:"SPILLWAY_MAX_CHECKOUTS" placeholder:"N" help:"The highest limit of checkouts that this process serves at once; those that wait for the payment provider do not count. Without it 1024, or 128 with the Redis in this process."`
	Reads          int           `name:"max-reads" env:"SPILLWAY_MAX_READS" placeholder:"N" help:"The same of reads: catalogue, carts, orders and sessions."`
	Latency        time.Duration `name:"latency-target" env:"SPILLWAY_LATENCY_TARGET" default:"${latency_target}" help:"What the slowest tenth of the checkouts, and of the reads, may take in this process. Their limits adapt to it, and calls beyond are refused at once. Three times as long with durability sql. 0s keeps the limits at --max-checkouts and --max-reads."`
	Proxies        []string      `name:"trusted-proxies" env:"SPILLWAY_TRUSTED_PROXIES" placeholder:"CIDR" help:"The proxies with a trusted X-Forwarded-For header, such as 10.0.0.0/8; may be repeated. Without any, the client's address is that of the connection."`
	Reflection     string        `name:"reflection" env:"SPILLWAY_REFLECTION" enum:"auto,public,admin,off" default:"${reflection}" help:"Where gRPC reflection lists the procedures, for grpcurl and buf curl: ${enum}. public is the API's port, admin the --admin address. auto: public for spillway all on embedded storage, on a loopback address without TLS and --trusted-proxies; otherwise admin."`
	TraceURL       string        `name:"trace-url" env:"SPILLWAY_TRACE_URL" placeholder:"URL" help:"Where the console finds a trace: a URL with {trace} in place of its id, such as http://127.0.0.1:16686/trace/{trace}. /shop.json shows it to everyone."`
	Drain          time.Duration `name:"drain-timeout" env:"SPILLWAY_DRAIN_TIMEOUT" default:"${drain_timeout}" help:"How long a shutdown waits for requests under way and, on embedded storage, for the workers."`
}

func (f httpFlags) config() app.HTTPConfig {
	return app.HTTPConfig{
		Listen: f.Listen, TLSCert: f.TLSCert, TLSKey: f.TLSKey, Origins: f.Origins, SessionsPerMinute: f.SessionRate, Connections: f.Connections,
		Rates:     app.CallRates{CustomerReads: f.CustomerReads, CustomerWrites: f.CustomerWrites, AddressReads: f.AddressReads, AddressWrites: f.AddressWrites},
		Checkouts: f.Checkouts, Reads: f.Reads, LatencyTarget: f.Latency,
		TrustedProxies: f.Proxies, Reflection: app.Reflection(f.Reflection), TraceURL: f.TraceURL, DrainTimeout: f.Drain,
	}
}
