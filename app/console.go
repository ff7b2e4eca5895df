package app

import (
	"time"

	"github.com/spillway/spillway/auth"
)

// consoleTTL is how long the token of the console's link is good: a working day.
const consoleTTL = 12 * time.Hour

// consoleOperator is the name under which the changes of the link's user are recorded.
const consoleOperator = "local-operator"

// ConsoleLink returns the address of the console with an operator's token in its fragment, which browsers keep to themselves. It is empty unless
// the shop is one for development: on embedded storage, with the key of its data directory, and reachable from this machine only.
func (a *App) ConsoleLink() (string, error) {
	if !a.development() {
		return "", nil
	}
	token, err := a.operatorToken()
	if err != nil {
		return "", err
	}
	return a.URL() + "/ops#token=" + token, nil
}

func (a *App) operatorToken() (string, error) {
	token, _, err := a.tokens.Mint(auth.Caller{Customer: consoleOperator, Roles: []auth.Role{auth.Operator}}, consoleTTL)
	return token, err
}

// development reports whether the shop has the key of its data directory, embedded storage and no TLS, and others do not reach it.
func (a *App) development() bool {
	return a.certificates == nil && a.local() && a.cfg.Auth.Key == "" && a.cfg.SQL.embedded()
}

// local reports whether the API listens on a loopback address.
func (a *App) local() bool {
	return a.listener != nil && onLoopback(a.listener)
}
