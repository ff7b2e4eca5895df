package oidc

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/auth/oidc/oidctest"
)

// testWait bounds every wait for something that takes moments on an idle machine.
const testWait = time.Minute

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// fetch reads the keys of an issuer within a test's own bound.
func fetch(t *testing.T, issuer string) (Keys, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testWait)
	defer cancel()
	return Fetch(ctx, issuer)
}

func TestFetch_KeysOfEachAlgorithm(t *testing.T) {
	t.Parallel()
	issuer := oidctest.New(t)
	for _, a := range []string{RS256, PS256, ES256, EdDSA} {
		issuer.Add("k-"+a, a)
	}
	keys, err := fetch(t, issuer.URL)
	if err != nil || len(keys) != 4 {
		t.Fatalf("%d keys, %v; want 4: others are left out", len(keys), err)
	}
	for _, a := range []string{RS256, PS256, ES256, EdDSA} {
		if n := len(keys.For("k-"+a, a)); n != 1 {
			t.Errorf("%s: %d keys; want 1", a, n)
		}
		for _, other := range []string{"HS256", "none", "", "RS512"} {
			if n := len(keys.For("k-"+a, other)); n != 0 {
				t.Errorf("the key for %s is good for %q", a, other)
			}
		}
	}
	if n := len(keys.For("", ES256)); n != 1 {
		t.Errorf("without an id, %d keys for ES256; want the only one", n)
	}
	if n := len(keys.For("", RS256)); n != 0 {
		t.Errorf("without an id, %d keys for RS256; want none of the two", n)
	}
}

func TestFetch_Refused(t *testing.T) {
	t.Parallel()
	huge := bytes.Repeat([]byte(" "), maxDocumentBytes+1)
	respond := func(path, body string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				fmt.Fprint(w, body)
			}
			return r.URL.Path == path
		}
	}
	for name, c := range map[string]struct {
		set  func(i *oidctest.Issuer)
		want string
	}{
		"another issuer": {func(i *oidctest.Issuer) { i.Name("https://id.example.com") }, "names itself"},
		"a slash more":   {func(i *oidctest.Issuer) { i.Name(i.URL + "/") }, "to the last slash"},
		"no usable key":  {func(i *oidctest.Issuer) { i.Withdraw("k1") }, "no key for"},
		"huge discovery": {func(i *oidctest.Issuer) { i.Answer(respond(wellKnown, string(huge))) }, "more than 262144 bytes"},
		"huge keys":      {func(i *oidctest.Issuer) { i.Answer(respond("/keys", string(huge))) }, "more than 262144 bytes"},
		"too many keys": {func(i *oidctest.Issuer) {
			i.Answer(respond("/keys", `{"keys":[`+strings.Repeat("{},", maxKeys)+`{}]}`))
		}, "has 65 keys"},
		"no JSON": {func(i *oidctest.Issuer) { i.Answer(respond("/keys", "<html>")) }, "not the expected JSON"},
		"keys elsewhere": {func(i *oidctest.Issuer) {
			i.Answer(respond(wellKnown, `{"issuer":"`+i.URL+`","jwks_uri":"http://id.example.com/"}`))
		}, "must be an https URL"},
		"a redirect": {func(i *oidctest.Issuer) { i.Answer(redirect) }, "status 302"},
		"an error":   {func(i *oidctest.Issuer) { i.Answer(down) }, "status 503"},
		"a weak key": {func(i *oidctest.Issuer) {
			i.Answer(respond("/keys", `{"keys":[{"kty":"RSA","kid":"w","n":"`+strings.Repeat("z", 170)+`","e":"AQAB"}]}`))
		}, "no key for"},
		"one for encrypted": {func(i *oidctest.Issuer) {
			i.Answer(respond("/keys", `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"e","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
		}, "no key for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := oidctest.New(t)
			issuer.Add("k1", EdDSA)
			c.set(issuer)
			if keys, err := fetch(t, issuer.URL); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d keys, %v; want an error with %q", len(keys), err, c.want)
			}
		})
	}
}

// TestParseKey_WithoutAlgorithm takes a key as Keycloak and others publish them: the algorithm and the use are optional, and so is what is said of certificates.
func TestParseKey_WithoutAlgorithm(t *testing.T) {
	t.Parallel()
	const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	for _, raw := range []string{
		`{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + x + `"}`,
		`{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + x + `","alg":"EdDSA","use":"sig","key_ops":["verify"],"more":1}`,
		`{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + x + `","x5c":["AAAA"],"x5t":"aaaa","x5t#S256":"bbbb","x5u":"http://id.invalid"}`,
	} {
		if key, err := parseKey([]byte(raw)); err != nil || len(Keys{key}.For("k", EdDSA)) != 1 {
			t.Errorf("%s: %+v, %v", raw, key, err)
		}
	}
	for _, raw := range []string{
		`{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + x + `","alg":"ES256"}`,
		`{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + x + `","key_ops":["sign"]}`,
		`{"kty":"OKP","crv":"X25519","kid":"k","x":"` + x + `"}`,
		`{"kty":"oct","kid":"k","k":"` + x + `","alg":"HS256"}`,
		`{"kty":"EC","crv":"P-256","kid":"k","x":"` + x + `","y":"` + x + `"}`, `{"kty":1}`, `[]`, `null`,
	} {
		if key, err := parseKey([]byte(raw)); err == nil {
			t.Errorf("%s: %+v is accepted", raw, key)
		}
	}
}

func down(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	return true
}

func redirect(w http.ResponseWriter, r *http.Request) bool {
	http.Redirect(w, r, "/elsewhere", http.StatusFound)
	return true
}

// TestFetch_SlowIssuer checks that an issuer that sends its keys byte by byte holds nobody up for longer than the bound.
func TestFetch_SlowIssuer(t *testing.T) {
	t.Parallel()
	issuer := oidctest.New(t)
	issuer.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			_ = http.NewResponseController(w).Flush() // The client may be gone.
			<-time.After(time.Millisecond)
		}
		return true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if keys, err := Fetch(ctx, issuer.URL); err == nil {
		t.Errorf("%d keys; want none", len(keys))
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://id.example.com", "https://id.example.com/realms/shop", "https://accounts.google.com", "http://127.0.0.1:8180/realms/shop", "http://localhost:1", "http://[::1]:1"} {
		if err := CheckIssuer(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "id.example.com", "http://id.example.com", "http://localhost.example.com", "https://", "https://u:p@id.example.com", "https://id.example.com?a", "https://id.example.com#", "file:///etc", "https:id", "https://id.example.com/" + strings.Repeat("x", maxIssuerBytes)} {
		if err := CheckIssuer(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// started runs a source with short intervals until the test ends.
func started(t *testing.T, issuer *oidctest.Issuer) *Source {
	t.Helper()
	s := NewSource(issuer.URL, quiet())
	s.wantedInterval, s.minBackoff = 20*time.Millisecond, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// eventually waits until the source's keys are as wanted.
func eventually(t *testing.T, s *Source, want func(set Set, known bool) bool) Set {
	t.Helper()
	for deadline := time.Now().Add(testWait); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		if set, known := s.Set(); want(set, known) {
			return set
		}
	}
	set, known := s.Set()
	t.Fatalf("the keys are %+v (known: %t)", set, known)
	return Set{}
}

func TestSource_Rotation(t *testing.T) {
	t.Parallel()
	issuer := oidctest.New(t)
	issuer.Add("old", EdDSA)
	s := started(t, issuer)
	first := eventually(t, s, func(_ Set, known bool) bool { return known })
	issuer.Add("new", ES256)
	s.Want()
	second := eventually(t, s, func(set Set, _ bool) bool { return len(set.Keys.For("new", ES256)) == 1 })
	if first.Generation != 1 || second.Generation != 2 || len(second.Keys.For("old", EdDSA)) != 1 {
		t.Errorf("generations %d and %d; want 1 and 2, and the old key still there", first.Generation, second.Generation)
	}
	issuer.Withdraw("old")
	s.Want()
	eventually(t, s, func(set Set, _ bool) bool { return set.Generation == 3 && len(set.Keys) == 1 })
}

// TestSource_Outage checks that a source starts without its issuer, and keeps the keys that it has while the issuer is unavailable.
func TestSource_Outage(t *testing.T) {
	t.Parallel()
	issuer := oidctest.New(t)
	issuer.Add("k1", EdDSA)
	issuer.Answer(down)
	s := started(t, issuer)
	for issuer.Requests.Load() < 3 {
		<-time.After(time.Millisecond)
	}
	if _, known := s.Set(); known {
		t.Fatal("there are keys of an issuer that was never there")
	}
	issuer.Answer(nil)
	before := eventually(t, s, func(_ Set, known bool) bool { return known })
	issuer.Answer(down)
	s.Want()
	for asked := issuer.Requests.Load(); issuer.Requests.Load() < asked+3; {
		<-time.After(time.Millisecond)
	}
	if after, known := s.Set(); !known || !after.Read.Equal(before.Read) || len(after.Keys) != 1 {
		t.Errorf("in an outage: %+v, %t; want the keys from before", after, known)
	}
	issuer.Add("k2", ES256)
	issuer.Answer(nil)
	eventually(t, s, func(set Set, _ bool) bool { return len(set.Keys) == 2 })
}

// TestSource_WantedIsRateLimited checks that tokens with unknown keys, however many, cause one read in each interval.
func TestSource_WantedIsRateLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSource("https://id.invalid", quiet())
		reads := 0
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		var callers sync.WaitGroup
		callers.Go(func() {
			for ctx.Err() == nil {
				s.Want()
				<-time.After(time.Millisecond)
			}
		})
		for s.pause(ctx, s.interval(0)) {
			reads++
		}
		callers.Wait()
		if reads != 6 {
			t.Errorf("%d reads in 65 s; want 6, one each %s", reads, wantedInterval)
		}
	})
}

func TestSource_Backoff(t *testing.T) {
	t.Parallel()
	s := NewSource("https://id.invalid", quiet())
	for failures := 1; failures < 100; failures++ {
		most := min(maxBackoff, minBackoff<<min(failures-1, 10))
		if d := s.interval(failures); d < most/2 || d > most {
			t.Errorf("after %d failures: %s; want %s to %s", failures, d, most/2, most)
		}
	}
	if d := s.interval(0); d != refreshInterval {
		t.Errorf("without a failure: %s", d)
	}
}
