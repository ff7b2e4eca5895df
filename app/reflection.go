package app

import (
	"fmt"
	"slices"
)

// Reflection is where the API's procedures are described by gRPC reflection.
type Reflection string

// The places.
const (
	ReflectionAuto   Reflection = "auto"   // public for a shop for development, otherwise admin
	ReflectionPublic Reflection = "public" // the API's port
	ReflectionAdmin  Reflection = "admin"  // the admin address, if there is one
	ReflectionOff    Reflection = "off"
)

func (r Reflection) validate() error {
	if !slices.Contains([]Reflection{ReflectionAuto, ReflectionPublic, ReflectionAdmin, ReflectionOff}, r) {
		return fmt.Errorf("--reflection %q: must be auto, public, admin or off", r)
	}
	return nil
}

// reflection is the place that auto stands for: the API's port if all storage is embedded and only this machine reaches the shop, without a proxy
// that lets others in.
func (a *App) reflection() Reflection {
	switch r := a.cfg.HTTP.Reflection; {
	case r != ReflectionAuto:
		return r
	case a.cfg.embedded() && a.cfg.SQL.embedded() && a.local() && a.certificates == nil && len(a.cfg.HTTP.TrustedProxies) == 0:
		return ReflectionPublic
	}
	return ReflectionAdmin
}
