package redisconn

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/test/fakesentinel"
	"github.com/spillway/spillway/test/realparts"
)

const (
	oldPrimary = "10.0.0.1:6379"
	newPrimary = "10.0.0.2:6379"
)

func TestSentinels_Primary(t *testing.T) {
	for name, c := range map[string]struct {
		named  []string // by each Sentinel; empty: it does not respond
		known  int      // how many they know; 0: as many as are listed
		listed int      // 0: all
		want   string   // empty: no majority
	}{
		"all agree":                      {named: []string{oldPrimary, oldPrimary, oldPrimary}, want: oldPrimary},
		"one is behind":                  {named: []string{newPrimary, newPrimary, oldPrimary}, want: newPrimary},
		"one does not respond":           {named: []string{"", newPrimary, newPrimary}, want: newPrimary},
		"cut off with one":               {named: []string{oldPrimary, "", ""}},
		"all behind but one":             {named: []string{oldPrimary, newPrimary, ""}},
		"half of an even number":         {named: []string{oldPrimary, oldPrimary, newPrimary, newPrimary}},
		"none responds":                  {named: []string{"", "", ""}},
		"one is listed, three are known": {named: []string{oldPrimary}, known: 3},
		"two are listed, three known":    {named: []string{oldPrimary, oldPrimary}, known: 3, want: oldPrimary},
		"a lone Sentinel":                {named: []string{oldPrimary}, want: oldPrimary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := c.known
			if known == 0 {
				known = len(c.named)
			}
			s := &sentinels{name: fakesentinel.Name}
			for _, primary := range c.named {
				f := fakesentinel.Start(t, primary, known, "")
				f.Cut(primary == "")
				s.addrs = append(s.addrs, f.Addr())
			}
			got, err := s.primary(t.Context())
			if got != c.want || (c.want == "") != errors.Is(err, ErrNoMajority) {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestSentinels_ListedTwice: two names lead to one Sentinel, which is cut off from the others together with the old primary.
func TestSentinels_ListedTwice(t *testing.T) {
	f := fakesentinel.Start(t, oldPrimary, 3, "")
	_, port, err := net.SplitHostPort(f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s := &sentinels{name: fakesentinel.Name, addrs: []string{f.Addr(), net.JoinHostPort("localhost", port)}}
	if got, err := s.primary(t.Context()); !errors.Is(err, ErrNoMajority) {
		t.Errorf("%q, %v; want ErrNoMajority", got, err)
	}
}

// TestSentinels_LogIn checks that the Sentinels get their own credentials, and that an error does not contain them.
func TestSentinels_LogIn(t *testing.T) {
	f := fakesentinel.Start(t, oldPrimary, 1, "s3cret")
	for password, want := range map[string]string{"s3cret": "", "": "NOAUTH", "wr0ng": "WRONGPASS"} {
		s := &sentinels{name: fakesentinel.Name, addrs: []string{f.Addr()}, auth: credentials{username: "u", password: password}}
		_, err := s.primary(t.Context())
		switch {
		case want == "" && err != nil:
			t.Errorf("with the password: %v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wr0ng")):
			t.Errorf("with the password %q: %v; want %s", password, err, want)
		}
	}
}

func TestSentinels_UnknownPrimary(t *testing.T) {
	f := fakesentinel.Start(t, oldPrimary, 1, "")
	s := &sentinels{name: "other", addrs: []string{f.Addr()}}
	_, err := s.primary(t.Context())
	if err == nil || !strings.Contains(err.Error(), `no primary "other"`) || !strings.Contains(err.Error(), "SENTINEL MASTERS") {
		t.Errorf("%v; want the name, and the command that lists those that there are", err)
	}
}

// TestSentinels_ARedisInstead: the port of a Redis is configured as that of a Sentinel. The error names the mistake.
func TestSentinels_ARedisInstead(t *testing.T) {
	s := &sentinels{name: fakesentinel.Name, addrs: []string{realparts.Redis(t)}}
	if _, err := s.primary(t.Context()); !errors.Is(err, ErrNoMajority) || !strings.Contains(err.Error(), "not a Sentinel") {
		t.Errorf("%v; want ErrNoMajority, and that it is not a Sentinel", err)
	}
}

// TestSentinels_BoundedTime checks that a Sentinel that does not respond delays the others' majority by sentinelTimeout at most.
func TestSentinels_BoundedTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &sentinels{name: fakesentinel.Name, addrs: []string{l.Addr().String()}}
	ctx, cancel := context.WithTimeout(t.Context(), testWait)
	defer cancel()
	if _, err := s.primary(ctx); !errors.Is(err, ErrNoMajority) || ctx.Err() != nil {
		t.Errorf("%v; want ErrNoMajority after %s", err, sentinelTimeout)
	}
}

// TestConn_FollowsTheMajority: two Redis, and Sentinels that name one of them. Commands reach what Allow has allowed, at the address where it
// was found; Confirm needs a majority, Instance keeps to the last address without one.
func TestConn_FollowsTheMajority(t *testing.T) {
	first, second := realparts.StartRedis(t), realparts.StartRedis(t)
	all, addrs := fakesentinel.StartAll(t, first.Addr(), 3)
	c, err := Connect(Config{Sentinels: addrs, Primary: fakesentinel.Name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := ping(t, c); !errors.Is(err, ErrInstance) {
		t.Errorf("before Allow: %v; want ErrInstance", err)
	}
	old := mustInstance(t, c)
	c.Allow(old)
	if err := ping(t, c); err != nil {
		t.Fatal(err)
	}
	wantConfirmed(t, c, old, true)

	for _, s := range all[1:] { // Of the three, this process reaches one.
		s.Cut(true)
	}
	if got := mustInstance(t, c); got != old {
		t.Errorf("without a majority: instance %s; want the one before, %s", got, old)
	}
	wantConfirmed(t, c, old, false)

	for _, s := range all {
		s.Cut(false)
		s.SetPrimary(second.Addr())
	}
	wantConfirmed(t, c, old, false)
	promoted := mustInstance(t, c)
	if promoted == old {
		t.Fatal("the instance stayed although the Sentinels name another address")
	}
	wantConfirmed(t, c, promoted, true)
	c.Disallow()
	err = ping(t, c)
	if errors.Is(err, net.ErrClosed) { // rueidis has not noticed yet that its connection is closed; the next command dials.
		err = ping(t, c)
	}
	if !errors.Is(err, ErrInstance) {
		t.Errorf("after Disallow: %v; want ErrInstance", err)
	}
	c.Allow(promoted)
	if err := ping(t, c); err != nil {
		t.Fatal(err)
	}
	for _, open := range c.fence.accepted() {
		if got := open.RemoteAddr().String(); got != second.Addr() {
			t.Errorf("a connection to %s is open; want only those to the new primary at %s", got, second.Addr())
		}
	}
}

func mustInstance(t *testing.T, c *Conn) string {
	t.Helper()
	instance, err := c.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

func wantConfirmed(t *testing.T, c *Conn, instance string, want bool) {
	t.Helper()
	if err := c.Confirm(t.Context(), instance); (err == nil) != want || err != nil && !errors.Is(err, ErrNoMajority) {
		t.Errorf("Confirm of %s: %v; want confirmed %v", instance, err, want)
	}
}

// TestConn_RealSentinels: the primary is killed, and the Sentinels promote a replica.
func TestConn_RealSentinels(t *testing.T) {
	redis := realparts.StartSentinel(t)
	at, err := ParseAddress(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(Config{Sentinels: at.Sentinels, Primary: at.Primary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	old := mustInstance(t, c)
	c.Allow(old)
	if err := ping(t, c); err != nil {
		t.Fatal(err)
	}
	killed := redis.Primary()
	redis.Node(killed).Kill9()
	began := time.Now()
	promoted := redis.AwaitFailover(killed)
	t.Logf("the failover took %s", time.Since(began))
	instance := mustInstance(t, c)
	if instance == old || c.addressOf(instance) != promoted {
		t.Errorf("instance %s at %s; want another than %s at %s", instance, c.addressOf(instance), old, promoted)
	}
	wantConfirmed(t, c, instance, true)
	wantSentinelNamed(t, at.Sentinels[0])
}

// wantSentinelNamed checks the error of a connection to a Sentinel that is configured as a Redis.
func wantSentinelNamed(t *testing.T, sentinel string) {
	t.Helper()
	c, err := Connect(Config{Addr: sentinel})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := c.Instance(t.Context()); err == nil || !strings.Contains(err.Error(), "redis-sentinel://") {
		t.Errorf("a Sentinel as Redis: %v; want the scheme of Sentinels", err)
	}
}
