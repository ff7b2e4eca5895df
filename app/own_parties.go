package app

import (
	"context"
	"log/slog"
)

// ownProvider reports whether the process has a simulated payment provider in its memory although others charge and refund as well: what one took is unknown
// to the next, so that unknown charges stay unknown and refunds are not confirmed.
func (c Config) ownProvider() bool { return c.External.Provider.File == "" && c.own(servicePayment) }

// ownCarrier is the same of the simulated carrier, to which workers alone hand parcels.
func (c Config) ownCarrier() bool {
	return c.External.Carrier.File == "" && c.works() && c.own(serviceShipping)
}

// own reports whether the process makes the service for itself, although it is not the only process of the shop, and others cannot call it there.
func (c Config) own(service string) bool {
	shared := c.Internal.Listen != "" && c.serving(service)
	return c.Role != RoleAll && c.needs().local[service] && !shared
}

// warnOwn warns of simulated external services that other processes do not share.
func (c Config) warnOwn(ctx context.Context, log *slog.Logger) {
	if c.ownProvider() {
		log.WarnContext(ctx, "the simulated payment provider is in the memory of this process: charges and refunds of other processes are unknown to it",
			"advice", "give all processes the --payment-url of one that serves payment, or the same --simulate-provider-file")
	}
	if c.ownCarrier() {
		log.WarnContext(ctx, "the simulated carrier is in the memory of this process: parcels of other processes are unknown to it",
			"advice", "give all processes the --shipping-url of one that serves shipping, or the same --simulate-carrier-file")
	}
}
