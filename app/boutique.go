package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/onlineboutique"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/web"
)

// DefaultBoutiqueListen is where Online Boutique's interface listens by default.
const DefaultBoutiqueListen = "127.0.0.1:8082"

// BoutiqueConfig configures the wire interface of Online Boutique, on an address of its own. Its callers have no tokens: everyone who reaches the address
// can order in the name of each of its users.
type BoutiqueConfig struct {
	Enabled bool
	Listen  string // HOST:PORT; empty is DefaultBoutiqueListen, port 0 takes a free one
}

func (c BoutiqueConfig) address() string {
	if c.Listen == "" {
		return DefaultBoutiqueListen
	}
	return c.Listen
}

// boutiqueServices are the services that Online Boutique's interface calls in its process.
var boutiqueServices = []string{serviceCatalog, serviceCart, serviceCurrency, serviceCheckout, serviceOrder, serviceShipping}

// validate checks the address, and that the process itself has the services that the interface calls.
func (c BoutiqueConfig) validate(local map[string]bool) error {
	if !c.Enabled {
		if c.Listen != "" {
			return errors.New("--online-boutique-listen: it needs --online-boutique, which serves callers without tokens")
		}
		return nil
	}
	for _, name := range boutiqueServices {
		if !local[name] {
			return fmt.Errorf("--online-boutique: it needs the service %s in its process, without --services and URLs that leave it out", name)
		}
	}
	return hostPort("--online-boutique-listen", c.address())
}

// newBoutique makes the services of Online Boutique's interface over those of the API, and over carts with generations.
func (b *builder) newBoutique() onlineboutique.Shop {
	carts := cart.New(b.cfg.Redis.Namespace, b.deps.redis.Client(), b.deps.policies[breaker.Redis]).Tracked()
	return onlineboutique.Shop{
		Catalog: b.services.Catalog, Cart: server.Cart{Carts: carts, Products: b.products, Available: b.shown, Rates: b.rates},
		Currency: b.services.Currency, Checkout: b.services.Checkout, Order: b.services.Order,
		Shipping: b.services.Shipping, Carts: carts, Log: b.deps.log, Now: time.Now,
	}
}

// listenBoutique opens the address of Online Boutique's interface, if it is served.
func (a *App) listenBoutique(ctx context.Context) (err error) {
	if !a.cfg.Boutique.Enabled {
		return nil
	}
	if a.boutique, err = a.listen(ctx, "--online-boutique-listen", a.cfg.Boutique.address()); err != nil {
		return err
	}
	a.boutique = a.cfg.HTTP.bounded(a.boutique, a.log)
	return nil
}

// BoutiqueURL is the address of Online Boutique's interface, "http://HOST:PORT"; empty if it is not served.
func (a *App) BoutiqueURL() string { return urlOf(a.boutique, false) }

// serveBoutique serves Online Boutique's interface until ctx ends and every accepted request is completed.
func (a *App) serveBoutique(ctx context.Context) error {
	traced, err := otelconnect.NewInterceptor()
	if err != nil {
		return err
	}
	h := server.NewCompatibleHandler(server.CompatibleConfig{
		LimitedAs: onlineboutique.LimitedAs(), Admission: a.api.admission, Ready: a.deps.ready(), Reflection: a.cfg.HTTP.Reflection != ReflectionOff, Files: web.Files(), Log: a.log,
		Interceptors: []connect.Interceptor{traced, a.api.checkouts.InterceptorOf(onlineboutique.PlaceOrderProcedure)},
	}, onlineboutique.Services(a.api.boutique))
	a.log.WarnContext(ctx, "serving Online Boutique's interface: everyone who reaches this address can order as any of its users",
		"url", a.BoutiqueURL())
	return server.Serve(ctx, a.boutique, h, a.cfg.HTTP.DrainTimeout, a.log)
}
