package doctor

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/test/realparts"
)

// ofRedis is a session of a process with a Redis, in which the checks up to redis.primary were made.
func ofRedis(t *testing.T, addr string, change func(*Config)) *session {
	t.Helper()
	cfg := Config{
		Redis: &Redis{
			Conn: redisconn.Config{Addr: addr}, Namespace: "spillway",
			Advice: func(e *redisconn.RefusedError) string { return fmt.Sprintf("advice %d", e.Refusal) },
		},
		Orders: Orders{Uses: true, Durability: "journal", JournalMax: 1000, UnpaidTotal: 100},
	}
	change(&cfg)
	s := newSession(cfg)
	t.Cleanup(s.close)
	for _, c := range redisChecks[:3] {
		if r := s.bounded(t.Context(), c); !r.passes() {
			break
		}
	}
	return s
}

// tell sends commands to a Redis of the test.
func tell(t *testing.T, addr string, commands ...string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, c := range commands {
		if _, err := fmt.Fprintf(conn, "%s\r\n", c); err != nil {
			t.Fatal(err)
		}
		if line, err := in.ReadString('\n'); err != nil || strings.HasPrefix(line, "-") {
			t.Fatalf("%s: %s %v", c, line, err)
		}
	}
}

// TestRedis_Settings: a Redis as it should be passes every check, and each wrong setting fails its own.
func TestRedis_Settings(t *testing.T) {
	t.Parallel()
	addr := realparts.StartRedis(t).Addr()
	keep := func(*Config) {}
	s := ofRedis(t, addr, keep)
	for _, name := range []string{"reachable", "primary", "version", "clock", "tls", "rights", "eviction", "append-only", "fsync", "persistence", "memory", "connections"} {
		want(t, s, "redis."+name, OK, "", "")
	}
	want(t, s, "redis.sentinels", Skipped, "no Sentinels", "")
	want(t, s, "redis.replicas", Skipped, "journal", "")
	want(t, ofRedis(t, addr, func(c *Config) { c.Orders.Durability = "replica" }), "redis.replicas", Fail, "min-replicas-to-write is 0", "min-replicas-to-write 1")

	for _, c := range []struct {
		set, name  string
		status     Status
		found, fix string
		back       string
		sqlDurable bool
		journalBig bool
	}{
		{set: "CONFIG SET maxmemory-policy allkeys-lru", back: "CONFIG SET maxmemory-policy noeviction", name: "eviction", status: Fail, found: "allkeys-lru", fix: "CONFIG SET maxmemory-policy noeviction"},
		{set: "CONFIG SET appendfsync no", back: "CONFIG SET appendfsync always", name: "fsync", status: Fail, found: "half a minute", fix: "appendfsync everysec"},
		{set: "CONFIG SET maxclients 20", back: "CONFIG SET maxclients 10000", name: "connections", status: Fail, found: "of 20", fix: "CONFIG SET maxclients"},
		{set: "CONFIG SET maxmemory 2mb", back: "CONFIG SET maxmemory 0", name: "memory", status: Fail, found: "maxmemory is 2048 KiB", fix: "--journal-max", journalBig: true},
		{set: "CONFIG SET appendonly no", back: "PING", name: "append-only", status: Fail, found: "loses acknowledged orders", fix: "CONFIG SET appendonly yes"},
		{set: "PING", back: "PING", name: "append-only", status: Warn, found: "idempotency records", fix: "appendonly yes", sqlDurable: true},
		{set: "PING", back: "CONFIG SET appendonly yes", name: "fsync", status: Skipped, found: "no append-only file"},
	} {
		tell(t, addr, c.set)
		s := ofRedis(t, addr, func(cfg *Config) {
			if c.sqlDurable {
				cfg.Orders.Durability = "sql"
			}
			if c.journalBig {
				cfg.Orders.JournalMax = 200_000
			}
		})
		want(t, s, "redis."+c.name, c.status, c.found, c.fix)
		tell(t, addr, c.back)
	}

	s = ofRedis(t, addr, keep)
	s.now = func() time.Time { return time.Now().Add(time.Minute) }
	want(t, s, "redis.clock", Fail, "behind this machine's", "chronyd")
	s.now = func() time.Time { return time.Now().Add(-2 * time.Second) }
	want(t, s, "redis.clock", Warn, "ahead of", "chronyd")
	s.info["redis_version"] = "6.2.1"
	want(t, s, "redis.version", Fail, "6.2.1", "Redis 7")
	s.info["aof_last_write_status"] = "err"
	want(t, s, "redis.persistence", Fail, "aof_last_write_status is err", "BGREWRITEAOF")
	s.info["evicted_keys"] = "7"
	want(t, s, "redis.eviction", Warn, "7 keys", "spillway audit")
	s.info["rejected_connections"] = "3"
	want(t, s, "redis.connections", Warn, "3 were refused", "maxclients")
	s.cfg.Redis.Conn.Addr = "10.0.0.5:6379"
	want(t, s, "redis.tls", Warn, "10.0.0.5", "--redis-tls")
	s.cfg.Redis.Conn.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	want(t, s, "redis.tls", OK, "", "")
}

// TestRedis_Replicas: durability replica needs as many replicas as Redis waits for; a replica is no primary.
func TestRedis_Replicas(t *testing.T) {
	t.Parallel()
	primary, replica := realparts.StartOldRedis(t), realparts.StartOldRedis(t)
	tell(t, primary.Addr(), "CONFIG SET min-replicas-to-write 1")
	durable := func(c *Config) { c.Orders.Durability = "replica" }
	want(t, ofRedis(t, primary.Addr(), durable), "redis.replicas", Fail, "0 replicas are connected", "spillway durability journal")
	replica.Follow(primary)
	want(t, ofRedis(t, primary.Addr(), durable), "redis.replicas", OK, "1 replicas", "")
	tell(t, primary.Addr(), "CONFIG SET min-replicas-max-lag 0")
	want(t, ofRedis(t, primary.Addr(), durable), "redis.replicas", Fail, "min-replicas-max-lag is 0", "min-replicas-max-lag 10")
	tell(t, primary.Addr(), "CONFIG SET min-replicas-max-lag 10")
	s := ofRedis(t, replica.Addr(), durable)
	want(t, s, "redis.reachable", OK, "", "")
	want(t, s, "redis.primary", Fail, "is a replica", "redis-sentinel://")
}

// TestRedis_Unreachable: the reason and what to set are in the result, and what needs Redis is skipped.
func TestRedis_Unreachable(t *testing.T) {
	t.Parallel()
	addr := realparts.FreeAddr(t)
	want(t, ofRedis(t, addr, func(*Config) {}), "redis.reachable", Fail, "refused", "--redis (SPILLWAY_REDIS)")
	s := ofRedis(t, "", func(c *Config) { c.Redis.Conn = redisconn.Config{Sentinels: []string{addr}, Primary: "mymaster"} })
	want(t, s, "redis.sentinels", Fail, "no majority", "--redis (SPILLWAY_REDIS)")
	r := s.report(t.Context(), Checks())
	for _, l := range r.Checks {
		if strings.HasPrefix(l.Name, "redis.") && l.Name != "redis.sentinels" && (l.Status != Skipped || l.Fix != "") {
			t.Errorf("%s: %s %s", l.Name, l.Status, l.Found)
		}
	}
}

// TestRedis_Rights: a user with the documented rights passes, over TLS; one that lacks a command or the keys is told which.
func TestRedis_Rights(t *testing.T) {
	t.Parallel()
	secure := realparts.StartSecureRedis(t, "spillway")
	pem, err := os.ReadFile(secure.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	trusted.RootCAs.AppendCertsFromPEM(pem)
	user := func(namespace, password string) *session {
		return ofRedis(t, secure.Addr(), func(c *Config) {
			c.Redis.Conn.TLS, c.Redis.Conn.Username, c.Redis.Conn.Password, c.Redis.Namespace = trusted, secure.User, password, namespace
		})
	}
	want(t, user("spillway", secure.Password), "redis.rights", OK, "all", "")
	want(t, user("another", secure.Password), "redis.rights", Fail, "{another:p0}:doctor: get, mget, set", "~{NAMESPACE:*")
	want(t, user("spillway", "wrong-password"), "redis.reachable", Fail, "WRONGPASS", "advice 0")
	want(t, ofRedis(t, secure.Addr(), func(*Config) {}), "redis.reachable", Fail, "", "advice 4")

	plain := realparts.StartRedis(t).Addr()
	tell(t, plain, "ACL SETUSER shop on >s3cretpw ~* &* +@all -xautoclaim -wait", "ACL SETUSER bare on >s3cretpw ~* &* +@all -multi -config")
	as := func(name string) *session {
		return ofRedis(t, plain, func(c *Config) { c.Redis.Conn.Username, c.Redis.Conn.Password = name, "s3cretpw" })
	}
	want(t, as("shop"), "redis.rights", Fail, ": xautoclaim, wait", "ACL SETUSER")
	want(t, as("bare"), "redis.rights", Warn, "MULTI is refused", "docs/operations.md")
	want(t, as("bare"), "redis.eviction", Fail, "maxmemory-policy cannot be read", "+config|get")
}

// TestRedis_Sentinels: with a majority the primary is found behind them.
func TestRedis_Sentinels(t *testing.T) {
	t.Parallel()
	set := realparts.StartSentinel(t)
	address, err := redisconn.ParseAddress(set.URL())
	if err != nil {
		t.Fatal(err)
	}
	s := ofRedis(t, "", func(c *Config) {
		c.Redis.Conn = redisconn.Config{Sentinels: address.Sentinels, Primary: address.Primary}
	})
	want(t, s, "redis.sentinels", OK, "majority", "")
	want(t, s, "redis.primary", OK, "", "")
}
