package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// Session is the SessionService.
type Session struct{ Tokens *auth.Tokens }

// StartGuestSession makes a new customer and a token for it.
func (s Session) StartGuestSession(context.Context, *spillwayv1.StartGuestSessionRequest) (*spillwayv1.StartGuestSessionResponse, error) {
	guest := auth.NewGuest()
	token, expires, err := s.Tokens.Mint(auth.Caller{Customer: guest}, auth.GuestTTL)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.StartGuestSessionResponse{Token: token, CustomerId: string(guest), ExpireTime: timestamppb.New(expires)}, nil
}
