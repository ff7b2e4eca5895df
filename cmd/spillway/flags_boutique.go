package main

import "github.com/spillway/spillway/app"

// boutiqueFlags configure the interface for the clients of Online Boutique.
type boutiqueFlags struct {
	Enabled bool   `name:"online-boutique" env:"SPILLWAY_ONLINE_BOUTIQUE" help:"Serve the gRPC interface of Online Boutique as well, at an address of its own. Its callers have no tokens: everyone who reaches the address can order as any of its users. docs/online-boutique.md explains it."`
	Listen  string `name:"online-boutique-listen" env:"SPILLWAY_ONLINE_BOUTIQUE_LISTEN" placeholder:"HOST:PORT" help:"That address; without it ${boutique_listen}. Only the servers of Online Boutique should reach it."`
}

func (f boutiqueFlags) config() app.BoutiqueConfig {
	return app.BoutiqueConfig{Enabled: f.Enabled, Listen: f.Listen}
}
