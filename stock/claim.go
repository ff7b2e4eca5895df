package stock

import (
	"context"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// ClaimGuest ends the session of a guest that the customer has claimed: Reserve refuses the guest's further orders, and the units that the guest ordered
// count towards the limits of the customer. Redis keeps that for as long as the guest could come back. SQL has the claim already. It may be repeated. While SQL takes the place of Redis it does nothing: SQL reads the claim.
func (s *Stock) ClaimGuest(ctx context.Context, guest, customer order.CustomerID, keep time.Duration) error {
	epoch, err := s.epochs.Current()
	if err != nil || epoch.Mode == journal.ModeSQL {
		return err
	}
	_, err = s.exec(ctx, s.scripts.claim, []string{s.keys.Claimed(guest), s.keys.Bought(guest), s.keys.Bought(customer)},
		[]string{string(customer), seconds(keep)})
	return err
}
