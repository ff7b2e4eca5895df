package auth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// mint returns a token of the caller that is valid for an hour.
func mint(tb testing.TB, tk *Tokens, c Caller) string {
	tb.Helper()
	token, _, err := tk.Mint(c, time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// isCached reports whether the token's caller is cached.
func isCached(tk *Tokens, token string) bool {
	_, ok := tk.cache.get(hashOf(token))
	return ok
}

func TestTokens_Verify_CachedTokenExpires(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	tk := tokens(t, key)
	tk.now = func() time.Time { return now }
	token, expires, err := tk.Mint(Caller{Customer: "c1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at    time.Time
		valid bool
	}{
		{now, true},
		{expires, true},
		{expires.Add(leeway - time.Nanosecond), true},
		{expires.Add(leeway), false},
		{expires.Add(leeway - time.Nanosecond), true},
		{expires.Add(24 * time.Hour), false},
	} {
		now = c.at
		uncached := tokens(t, key)
		uncached.now = tk.now
		_, want := uncached.Verify(token)
		_, err := tk.Verify(token)
		if (err == nil) != c.valid || fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("at expiry %+v: %v; without a cache %v; want valid: %t", c.at.Sub(expires), err, want, c.valid)
		}
	}
	if !isCached(tk, token) {
		t.Error("the token was not cached, so that the test did not test the cache")
	}
}

func TestTokens_Verify_ForgedTokenWithCachedPrefix(t *testing.T) {
	t.Parallel()
	tk := tokens(t, key)
	token := mint(t, tk, Caller{Customer: "c1"})
	other := mint(t, tk, Caller{Customer: "c2", Roles: []Role{Operator}})
	signed := strings.LastIndexByte(token, '.')
	if _, err := tk.Verify(token); err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]string{
		"another signature":         token[:signed] + other[strings.LastIndexByte(other, '.'):],
		"signature of a cached one": other[:strings.LastIndexByte(other, '.')] + token[signed:],
		"no signature":              token[:signed+1],
		"longer":                    token + "A",
		"shorter":                   token[:len(token)-1],
	} {
		for range 2 { // The first call must not have cached it.
			if c, err := tk.Verify(forged); !errors.Is(err, ErrToken) {
				t.Errorf("%s: %+v, %v; want ErrToken", name, c, err)
			}
		}
		if isCached(tk, forged) {
			t.Errorf("%s: it is cached", name)
		}
	}
}

func TestTokens_Verify_CacheOfAnotherKey(t *testing.T) {
	t.Parallel()
	tk, other := tokens(t, key), tokens(t, strings.Repeat("x", MinKeyBytes))
	token := mint(t, tk, Caller{Customer: "c1"})
	if _, err := tk.Verify(token); err != nil {
		t.Fatal(err)
	}
	if c, err := other.Verify(token); !errors.Is(err, ErrToken) {
		t.Errorf("with another key: %+v, %v; want ErrToken", c, err)
	}
}

func TestTokens_Verify_ConcurrentCallersKeepTheirRoles(t *testing.T) {
	t.Parallel()
	tk := tokens(t, key)
	callers := make([]Caller, 20)
	list := make([]string, len(callers))
	for i := range callers {
		callers[i].Customer = order.CustomerID(fmt.Sprintf("c%d", i%10)) // Each customer has two tokens with different roles.
		if i%3 > 0 {
			callers[i].Roles = Roles()[:i%3]
		}
		list[i] = mint(t, tk, callers[i])
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := range 200 {
				i := (worker + n) % len(list)
				if c, err := tk.Verify(list[i]); err != nil || c.Customer != callers[i].Customer || !slices.Equal(c.Roles, callers[i].Roles) {
					t.Errorf("caller = %+v, %v; want %+v", c, err, callers[i])
				}
			}
		})
	}
	wg.Wait()
}

func TestTokenCache_Bound(t *testing.T) {
	t.Parallel()
	var c tokenCache
	hot := numberedHash(0)
	c.put(hot, verifiedToken{caller: Caller{Customer: "hot"}})
	for n := range uint64(2 * maxCachedTokens) {
		c.put(numberedHash(n+1), verifiedToken{})
		if n%1000 == 0 {
			if v, ok := c.get(hot); !ok || v.caller.Customer != "hot" {
				t.Fatalf("after %d tokens, the one in use is gone", n)
			}
		}
	}
	if n := c.len(); n > maxCachedTokens || n < maxCachedTokens/2 {
		t.Errorf("%d tokens are cached; want %d to %d", n, maxCachedTokens/2, maxCachedTokens)
	}
}

// numberedHash returns a hash for each number, spread evenly over the shards.
func numberedHash(n uint64) (h tokenHash) {
	h[0] = byte(n % cacheShards)
	binary.BigEndian.PutUint64(h[1:], n)
	return h
}

func BenchmarkTokens_Verify(b *testing.B) {
	tk, err := NewTokens([]byte(key))
	if err != nil {
		b.Fatal(err)
	}
	token := mint(b, tk, Caller{Customer: NewGuest()})
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tk.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parsed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tk.parse(token); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// len returns the number of cached tokens.
func (c *tokenCache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.young) + len(s.old)
		s.mu.RUnlock()
	}
	return n
}
