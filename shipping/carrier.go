package shipping

import (
	"context"

	"github.com/spillway/spillway/order"
)

// Carrier is the external service that accepts parcels. Implementations are safe for concurrent use.
type Carrier interface {
	// Ship hands the parcel over. It is idempotent by order id. Ship returns order.ErrRejected if the carrier did not accept the parcel
	// this time, and order.ErrInvalid if it does not have the parcel and never will accept it. After any other error the carrier may have it.
	Ship(ctx context.Context, p Parcel) error
}

// Parcel is the data of one order that the carrier gets.
type Parcel struct {
	OrderID    order.ID
	TrackingID string
	To         order.Address
	Items      []order.Demand
}

// trackingPrefix is the prefix of all tracking ids of this shop.
const trackingPrefix = "SPW"

// NewTrackingID returns the tracking id of an order. It depends on the order id only, so that the customer gets it in the response to the
// order, and the carrier gets the same one in each retry.
func NewTrackingID(id order.ID) string { return trackingPrefix + string(id) }
