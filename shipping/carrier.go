package shipping

import (
	"context"

	"github.com/spillway/spillway/order"
)

// Carrier is an outside party that takes parcels, each order once.
type Carrier interface {
	// Ship hands the parcel over. Done before, it does nothing more.
	Ship(ctx context.Context, p Parcel) error
}

// Parcel is what the carrier gets.
type Parcel struct {
	OrderID    order.ID
	TrackingID string
	To         order.Address
	Items      []order.Demand
}

// trackingPrefix begins the carrier's numbers for this shop.
const trackingPrefix = "SPW"

// NewTrackingID assigns the tracking id of an order up front, so that the customer has it in the answer and the carrier gets
// the same one however often it is asked.
func NewTrackingID(id order.ID) string { return trackingPrefix + string(id) }
