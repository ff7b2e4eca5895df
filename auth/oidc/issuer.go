package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// fetchTimeout bounds reading the discovery document and the keys: an issuer takes a fraction of a second, and a slow one is asked again.
	fetchTimeout = 10 * time.Second
	// maxDocumentBytes bounds each of the two: the largest known ones, with a certificate for each key, have some 20 kB.
	maxDocumentBytes = 256 << 10
	// maxIssuerBytes bounds the URL of an issuer: it is compared with a claim of each token.
	maxIssuerBytes = 512
	// wellKnown is where an issuer describes itself.
	wellKnown = "/.well-known/openid-configuration"
)

// CheckIssuer reports what is wrong with the URL of an issuer. It must be an https URL without a query: who can change what a plain-text one
// responds can sign in as anyone. Plain http is for development, on a loopback address.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q is no URL such as https://id.example.com/realms/shop", issuer)
	case len(issuer) > maxIssuerBytes:
		return fmt.Errorf("the URL has %d bytes; it may have %d", len(issuer), maxIssuerBytes)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#"):
		return fmt.Errorf("%q must have no user, query or fragment", issuer)
	case u.Scheme != "https" && !plainLoopback(u):
		return fmt.Errorf("%q must begin with https://; http:// is for a loopback address only", issuer)
	}
	return nil
}

// plainLoopback reports whether the URL is one of this machine, over http.
func plainLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// document is what is read of the discovery document.
type document struct {
	Issuer  string `json:"issuer"`
	KeysURL string `json:"jwks_uri"`
}

// Fetch reads the keys of an issuer once. It fails if they cannot be read within fetchTimeout, and if none of them can be used.
func Fetch(ctx context.Context, issuer string) (Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	client := newClient()
	defer client.CloseIdleConnections()
	var doc document
	if err := getJSON(ctx, client, strings.TrimSuffix(issuer, "/")+wellKnown, &doc); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if doc.Issuer != issuer {
		return nil, fmt.Errorf("the issuer names itself %q, not %q: they must be the same, to the last slash", doc.Issuer, issuer)
	}
	if err := checkKeysURL(issuer, doc.KeysURL); err != nil {
		return nil, err
	}
	var set keySet
	if err := getJSON(ctx, client, doc.KeysURL, &set); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return set.usable()
}

// checkKeysURL refuses keys that come in plain text, unless the issuer does, on a loopback address.
func checkKeysURL(issuer, keys string) error {
	u, err := url.Parse(keys)
	if err != nil || u.Host == "" || u.Scheme != "https" && (!strings.HasPrefix(issuer, "http://") || !plainLoopback(u)) {
		return fmt.Errorf("the issuer's jwks_uri %q must be an https URL", keys)
	}
	return nil
}

// newClient returns the client of one Fetch. It follows no redirects: what an issuer names is where its keys are.
func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxDocumentBytes, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// getJSON reads a document of at most maxDocumentBytes.
func getJSON(ctx context.Context, client *http.Client, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responds with status %d", from, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocumentBytes+1))
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if len(body) > maxDocumentBytes {
		return fmt.Errorf("%s has more than %d bytes", from, maxDocumentBytes)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s is not the expected JSON: %w", from, err)
	}
	return nil
}
