package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// clientFlags locate the API and hold the caller's token.
type clientFlags struct {
	URL       string    `name:"url" env:"SPILLWAY_URL" default:"http://127.0.0.1:8080" help:"Where the API is."`
	Token     string    `name:"token" env:"SPILLWAY_TOKEN" help:"An operator's bearer token, as 'spillway token --role operator' prints it. Without it, one is minted with --auth-key or the dev key in --data-dir."`
	TokenFile string    `name:"token-file" env:"SPILLWAY_TOKEN_FILE" secret:"token" placeholder:"PATH" help:"A file that holds it."`
	As        string    `name:"as" env:"USER" default:"operator" help:"Who you are: the name that the history keeps, if the token is minted here."`
	DataDir   string    `name:"data-dir" env:"SPILLWAY_DATA_DIR" default:"${data_dir}" help:"Where the dev key is."`
	Auth      authFlags `embed:""`
}

const (
	// callTimeout bounds one call: a replay may take nearly as long.
	callTimeout = 40 * time.Second
	// mintedTTL is how long a token is good that is minted for one command.
	mintedTTL = 10 * time.Minute
)

// client is what the generated clients need: an HTTP client that sends the token, and the API's address.
func (c clientFlags) client() (*http.Client, string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, "", usageErrorf("--url %q: must be http://HOST:PORT or https://HOST", c.URL)
	}
	token, err := c.token()
	if err != nil {
		return nil, "", err
	}
	return &http.Client{
		Timeout: callTimeout, Transport: bearer{token: token, next: http.DefaultTransport},
		// The API redirects nothing. Another server could redirect the token to a third one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, c.URL, nil
}

// ops is a client of the OpsService, for a stream of any length.
func (c clientFlags) ops() (spillwayv1connect.OpsServiceClient, error) {
	h, url, err := c.client()
	if err != nil {
		return nil, err
	}
	h.Timeout = 0 // It would end the stream.
	return spillwayv1connect.NewOpsServiceClient(h, url), nil
}

func (c clientFlags) token() (string, error) {
	if c.Token != "" {
		return c.Token, nil
	}
	if _, err := os.Stat(app.DevKey(c.DataDir)); c.Auth.Key == "" && err != nil {
		return "", usageErrorf(
			"no token: give --token (SPILLWAY_TOKEN), or --auth-key (SPILLWAY_AUTH_KEY), or the --data-dir of a shop on embedded storage; there is no dev key in %q",
			c.DataDir,
		)
	}
	if !order.CustomerID(c.As).Valid() {
		return "", usageErrorf("--as %q: take 1 to 64 visible ASCII characters", c.As)
	}
	return c.Auth.operator(c.DataDir, order.CustomerID(c.As), mintedTTL)
}

// bearer sends a token with every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip sends the request with the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// explain turns the error of a call into one that names what the operator can do.
func (c clientFlags) explain(err error) error {
	var ce *connect.Error
	switch {
	case err == nil || !errors.As(err, &ce):
		return err
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case !connect.IsWireError(err) && ce.Code() == connect.CodeUnavailable:
		return fmt.Errorf("nothing answers at %s; is `spillway all` or `spillway serve` running there? (%s)", c.URL, printable(ce.Message()))
	case isNoAPI(ce):
		return fmt.Errorf("no shop responds at %s, but another web server (%s): --url must be the address of the shop's --listen, not that of its --admin",
			c.URL, printable(ce.Message()))
	case ce.Code() == connect.CodeUnauthenticated, ce.Code() == connect.CodePermissionDenied:
		return fmt.Errorf("%s; make a token with `spillway token --customer YOU --role operator`, with the --auth-key or --data-dir of that shop",
			printable(ce.Message()))
	}
	return errors.New(printable(ce.Message()))
}

// isNoAPI reports whether the error is the client's own about a response that the API never sends: a page, or a status such as 404.
func isNoAPI(err *connect.Error) bool {
	if connect.IsWireError(err) {
		return false
	}
	switch err.Code() { //nolint:exhaustive // Others have other reasons.
	case connect.CodeUnimplemented, connect.CodeUnknown:
		return true
	}
	return strings.Contains(err.Message(), "content-type")
}
