package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The names of the services, as --services takes them.
const (
	serviceSession     = "session"
	serviceCatalog     = "catalog"
	serviceCart        = "cart"
	serviceCurrency    = "currency"
	serviceCheckout    = "checkout"
	serviceOrder       = "order"
	servicePayment     = "payment"
	serviceShipping    = "shipping"
	serviceEmail       = "email"
	serviceDeadLetters = "dead-letters"
	serviceAudit       = "audit"
	serviceOps         = "ops"
)

// ServiceNames lists the services.
func ServiceNames() []string { return slices.Clone(serviceNames) }

var serviceNames = []string{
	serviceSession, serviceCatalog, serviceCart, serviceCurrency, serviceCheckout, serviceOrder,
	servicePayment, serviceShipping, serviceEmail, serviceDeadLetters, serviceAudit, serviceOps,
}

// uses is what a service or a worker needs of its own, and which services it calls.
type uses struct {
	sql bool
	// redis is for stock, carts, hot orders and caches. It implies sql, which records the epoch that fences them.
	redis bool
	queue bool
	calls []string
}

// serviceUses is the table of services and what they use; docs/services.md has it for operators.
var serviceUses = map[string]uses{
	serviceSession:     {},
	serviceCurrency:    {},
	servicePayment:     {sql: true},
	serviceEmail:       {sql: true},
	serviceShipping:    {sql: true, calls: []string{serviceCurrency}},
	serviceCatalog:     {redis: true, calls: []string{serviceCurrency}},
	serviceCart:        {redis: true, calls: []string{serviceCatalog, serviceCurrency}},
	serviceCheckout:    {redis: true, calls: []string{servicePayment, serviceShipping, serviceCart, serviceCatalog, serviceCurrency}},
	serviceOrder:       {redis: true, calls: []string{servicePayment}},
	serviceDeadLetters: {redis: true, calls: []string{servicePayment, serviceEmail}},
	serviceAudit:       {redis: true},
	serviceOps:         {redis: true},
}

// workerUses is the same of workers.
var workerUses = map[string]uses{
	workerFlusher:    {redis: true},
	workerRelay:      {redis: true, queue: true},
	workerWriter:     {redis: true, queue: true, calls: []string{servicePayment}},
	workerShipper:    {redis: true, queue: true, calls: []string{serviceShipping}},
	workerMailer:     {sql: true, queue: true, calls: []string{serviceEmail}},
	workerReconciler: {redis: true, calls: []string{servicePayment}},
	workerCanceller:  {redis: true, calls: []string{servicePayment}},
	workerRefunds:    {sql: true, calls: []string{servicePayment}},
	workerLost:       {redis: true},
	workerRepairer:   {redis: true, calls: []string{servicePayment}},
	workerRescuer:    {redis: true, calls: []string{serviceShipping}},
	workerDispatcher: {sql: true, calls: []string{serviceEmail}},
	workerDrain:      {sql: true, queue: true},
}

// needs is what a process needs for its services and workers, with what these call.
type needs struct {
	sql, redis, queue bool
	// local are the services that this process makes: those that it serves, and those that it calls without a URL.
	local map[string]bool
	// remote are the services that it calls at a URL.
	remote map[string]bool
}

// needs follows the calls of the services and workers.
func (c Config) needs() needs {
	n := needs{local: map[string]bool{}, remote: map[string]bool{}}
	served := c.served()
	for _, name := range served {
		n.service(name, served, c.Remote)
	}
	for _, name := range c.Workers {
		n.add(workerUses[name], served, c.Remote)
	}
	n.sql = n.sql || c.works() && c.Audit.Interval > 0
	n.redis = n.redis || n.queue && c.Queue.RocketMQ == ""
	n.sql = n.sql || n.redis
	return n
}

// Calls lists the services that the process calls at their URLs.
func (c Config) Calls() []string { return slices.Sorted(maps.Keys(c.needs().remote)) }

// service adds a service that this process makes.
func (n *needs) service(name string, served []string, remote RemoteConfig) {
	if n.local[name] {
		return
	}
	n.local[name] = true
	n.add(serviceUses[name], served, remote)
}

// add adds what something uses. A service that the process serves is called in process, whatever its URL is.
func (n *needs) add(u uses, served []string, remote RemoteConfig) {
	n.sql, n.redis, n.queue = n.sql || u.sql, n.redis || u.redis, n.queue || u.queue
	for _, name := range u.calls {
		if remote.url(name) != "" && !slices.Contains(served, name) {
			n.remote[name] = true
			continue
		}
		n.service(name, served, remote)
	}
}

// served lists the services that the process serves: those that are configured, or else all that have no URL.
func (c Config) served() []string {
	switch {
	case !c.serves():
		return nil
	case len(c.Services) > 0:
		return c.Services
	}
	return slices.DeleteFunc(ServiceNames(), func(name string) bool { return c.Remote.url(name) != "" })
}

// serving reports whether the process serves at least one of the services.
func (c Config) serving(names ...string) bool {
	served := c.served()
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(served, name) })
}

// internalServices have no procedure on the public port.
var internalServices = []string{servicePayment, serviceEmail}

// public reports whether the process has a public port: it serves a service that has procedures there.
func (c Config) public() bool {
	return slices.ContainsFunc(c.served(), func(name string) bool { return !slices.Contains(internalServices, name) })
}

func validateServices(names []string) error {
	for _, name := range names {
		if _, ok := serviceUses[name]; !ok {
			return fmt.Errorf("--services %q: there is no such service; take some of %s", name, strings.Join(serviceNames, ", "))
		}
	}
	return nil
}
