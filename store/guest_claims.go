package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/guestclaim"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/order"
)

// MaxGuestClaims bounds the guests of one customer, because a list of the customer's orders reads each guest's part of the index: 101 parts
// take eight times as long as one. A customer needs one for each time they ordered before they logged in.
const MaxGuestClaims = 100

// GuestClaim makes the orders of a guest those of a customer.
type GuestClaim struct {
	Guest, Customer order.CustomerID
	At              time.Time
	// Stale is the age at which a claim of a guest without an order is dropped when the customer has MaxGuestClaims: the guest's token has expired by then, so
	// that no order will follow.
	Stale time.Duration
}

// GuestClaims keeps the owners of the orders of guests. Its statements are SQL and not ent's builders, which would add 25 kB to the program.
type GuestClaims struct{ db *DB }

// NewGuestClaims makes the repository.
func NewGuestClaims(db *DB) *GuestClaims { return &GuestClaims{db: db} }

// Claim inserts the claim. It may be repeated. It returns order.ErrFailedPrecondition with order.ReasonGuestClaimed when another customer has claimed the guest,
// and with order.ReasonTooManyGuests when the customer has MaxGuestClaims. Of concurrent claims of one guest by several customers one succeeds.
func (g *GuestClaims) Claim(ctx context.Context, c GuestClaim) error {
	// A repeated call takes no locks.
	done, err := fetch(ctx, g.db, func(ctx context.Context) (bool, error) { return claimed(ctx, g.db.ent, c) })
	if done || err != nil {
		return err
	}
	return g.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		if err := g.makeRoom(ctx, tx, c); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO guest_claims (guest_id, customer_id, claimed_at) VALUES (?, ?, ?)"+
			g.db.onConflictDoNothingSQL(guestclaim.Table, guestclaim.FieldID), c.Guest, c.Customer, micro(c.At))
		if err != nil {
			return fmt.Errorf("claim the orders of a guest: %w", err)
		}
		// Another customer may have inserted it first.
		_, err = claimed(ctx, tx, c)
		return err
	})
}

// claimed reports whether the customer has the guest's orders. It returns an error if another one has.
func claimed(ctx context.Context, q querier, c GuestClaim) (bool, error) {
	by, err := claimedBy(ctx, q, c.Guest)
	if err == nil && by != "" && by != c.Customer {
		err = order.Refuse(order.ErrFailedPrecondition, order.ReasonGuestClaimed, "another customer has claimed the orders of this guest")
	}
	return by == c.Customer, err
}

// makeRoom checks that the customer may claim the guest, and keeps the customer's other claims waiting until the commit.
func (g *GuestClaims) makeRoom(ctx context.Context, tx *ent.Client, c GuestClaim) error {
	mine, err := guestsOf(ctx, tx, c.Customer, g.db.forUpdate())
	if err != nil || len(mine) < MaxGuestClaims || slices.Contains(mine, c.Guest) {
		return err
	}
	r, err := tx.ExecContext(ctx, "DELETE FROM guest_claims WHERE customer_id = ? AND claimed_at < ? "+
		"AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.customer_id = guest_claims.guest_id)", c.Customer, micro(c.At.Add(-c.Stale)))
	if err != nil {
		return fmt.Errorf("drop claims of guests without orders: %w", err)
	}
	dropped, err := r.RowsAffected()
	if err != nil || len(mine)-int(dropped) < MaxGuestClaims {
		return err
	}
	return order.Refuse(order.ErrFailedPrecondition, order.ReasonTooManyGuests,
		"a customer may claim the orders of at most %d guests", MaxGuestClaims).With("maximum", strconv.Itoa(MaxGuestClaims))
}

// ClaimedBy returns the customer who has claimed the guest's orders; empty if there is none.
func (g *GuestClaims) ClaimedBy(ctx context.Context, guest order.CustomerID) (order.CustomerID, error) {
	return fetch(ctx, g.db, func(ctx context.Context) (order.CustomerID, error) { return claimedBy(ctx, g.db.ent, guest) })
}

func claimedBy(ctx context.Context, q querier, guest order.CustomerID) (by order.CustomerID, err error) {
	err = each(ctx, q, "the claim of a guest", func(s scanner) error { return s.Scan(&by) },
		"SELECT customer_id FROM guest_claims WHERE guest_id = ?", guest)
	return by, err
}

// guestsOf reads the guests that the customer has claimed. A lock, if any, ends the statement.
func guestsOf(ctx context.Context, q querier, customer order.CustomerID, lock string) (guests []order.CustomerID, err error) {
	err = each(ctx, q, "the guests of a customer", func(s scanner) error {
		var guest order.CustomerID
		err := s.Scan(&guest)
		guests = append(guests, guest)
		return err
	}, "SELECT guest_id FROM guest_claims WHERE customer_id = ?"+lock, customer)
	return guests, err
}

// withGuests returns the customer, and the guests that the customer has claimed.
func withGuests(ctx context.Context, q querier, customer order.CustomerID) ([]order.CustomerID, error) {
	if customer.Guest() {
		return []order.CustomerID{customer}, nil
	}
	guests, err := guestsOf(ctx, q, customer, "")
	return append(guests, customer), err
}

// columnClaimedBy is a further column of an order: the customer who has claimed it.
const columnClaimedBy = "claimed_by"

// withClaim adds columnClaimedBy.
func withClaim(s *entsql.Selector) {
	g := entsql.Table(guestclaim.Table)
	s.AppendSelectExprAs(entsql.Dialect(s.Dialect()).Select(g.C(guestclaim.FieldCustomerID)).From(g).
		Where(entsql.ColumnsEQ(g.C(guestclaim.FieldID), s.C(entorder.FieldCustomerID))), columnClaimedBy)
}

// unclaimed is the condition of orders that no customer has claimed.
func unclaimed(s *entsql.Selector) {
	g := entsql.Table(guestclaim.Table)
	s.Where(entsql.NotExists(entsql.Dialect(s.Dialect()).Select(g.C(guestclaim.FieldID)).From(g).
		Where(entsql.ColumnsEQ(g.C(guestclaim.FieldID), s.C(entorder.FieldCustomerID)))))
}
