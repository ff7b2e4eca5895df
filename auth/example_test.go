package auth_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/auth"
)

func ExampleTokens() {
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		fmt.Println(err)
		return
	}
	token, _, err := tokens.Mint(auth.Caller{Customer: "guest_1", Roles: []auth.Role{auth.Operator}}, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	caller, err := tokens.Verify(token)
	fmt.Println(caller.Customer, caller.Has(auth.Operator), err)
	// Output: guest_1 true <nil>
}
