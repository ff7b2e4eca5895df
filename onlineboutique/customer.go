package onlineboutique

import (
	"context"
	"regexp"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/order"
)

// userPattern is that of user ids: 55 characters, with the prefix 64, which is the maximum of a customer id.
var userPattern = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,55}$`)

// customerOf returns the customer of a user. No token can name this customer: see order.BoutiquePrefix.
func customerOf(userID string) (order.CustomerID, error) {
	if !userPattern.MatchString(userID) {
		return "", order.InField("userId", order.Refuse(order.ErrInvalid, order.ReasonInvalidField,
			"user_id must have 1 to 55 letters, digits, '_', '.', '@', '+' or '-'"))
	}
	return order.BoutiquePrefix + order.CustomerID(userID), nil
}

// as returns the context of a call by the user.
func as(ctx context.Context, userID string) (context.Context, error) {
	customer, err := customerOf(userID)
	if err != nil {
		return ctx, err
	}
	return auth.With(ctx, auth.Caller{Customer: customer}), nil
}
