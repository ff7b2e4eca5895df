package stock

import (
	"context"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// claimedTTL is the TTL of the mark of a claimed guest: a day longer than the guest's token is good, which is 30 days.
const claimedTTL = 31 * 24 * time.Hour

// ClaimGuest ends the session of a guest that the customer has claimed: Reserve refuses the guest's further orders, and the units that the guest ordered
// count towards the limits of the customer. SQL has the claim already. It may be repeated. While SQL takes the place of Redis it does nothing: SQL reads the claim.
func (s *Stock) ClaimGuest(ctx context.Context, guest, customer order.CustomerID) error {
	epoch, err := s.epochs.Current()
	if err != nil || epoch.Mode == journal.ModeSQL {
		return err
	}
	_, err = s.exec(ctx, s.scripts.claim, []string{s.keys.Claimed(guest), s.keys.Bought(guest), s.keys.Bought(customer)},
		[]string{string(customer), seconds(claimedTTL)})
	return err
}
