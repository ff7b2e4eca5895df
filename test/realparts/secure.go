package realparts

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"testing"
)

// ShopACL is what the user of the shop may do, with keys that begin with {NAMESPACE: as in docs/operations.md.
const ShopACL = "&* +@all -@dangerous -@admin +info +config|get"

// secureRedis is a Redis, with or without Sentinels, that speaks TLS only and requires a login. A nil one is plain TCP without a login.
type secureRedis struct {
	CAFile, key      string
	tls              *tls.Config
	user             string // the shop's, at Redis and at the Sentinels
	password         string
	sentinelPassword string
	own              string // password of the tests, the replication and the Sentinels
	namespaces       string // the pattern of the shop's keys
}

// SecureRedis is one Redis that speaks TLS only, with an ACL user for the shop.
type SecureRedis struct {
	*Proc

	// CAFile is the authority that signed its certificate. User and Password are the shop's.
	CAFile, User, Password string
}

// SecureSentinelRedis is a SentinelRedis of which all speak TLS only and require a login.
type SecureSentinelRedis struct {
	*SentinelRedis

	// CAFile is the authority that signed all certificates. User and Password are the shop's at Redis, User and SentinelPassword at the Sentinels.
	CAFile, User, Password, SentinelPassword string
}

// StartSecureRedis starts a SecureRedis whose shop may use keys of the namespace.
func StartSecureRedis(t testing.TB, namespace string) *SecureRedis {
	t.Helper()
	s := newSecureRedis(t, namespace)
	p := startNode(t, node{host: "127.0.0.1", port: FreePort(t), secure: s, alone: true})
	return &SecureRedis{Proc: p, CAFile: s.CAFile, User: s.user, Password: s.password}
}

// StartSecureSentinel starts a SecureSentinelRedis whose shop may use keys of the namespace.
func StartSecureSentinel(t testing.TB, namespace string) *SecureSentinelRedis {
	t.Helper()
	s := newSecureRedis(t, namespace)
	return &SecureSentinelRedis{
		SentinelRedis: startSentinels(t, topology{host: "127.0.0.1", primaryHost: "127.0.0.1", secure: s}),
		CAFile:        s.CAFile, User: s.user, Password: s.password, SentinelPassword: s.sentinelPassword,
	}
}

func newSecureRedis(t testing.TB, namespace string) *secureRedis {
	t.Helper()
	s := &secureRedis{user: "shop", password: rand.Text(), sentinelPassword: rand.Text(), own: rand.Text(), namespaces: "~{" + namespace + ":*"}
	s.CAFile, s.key = Certificate(t)
	pem, err := os.ReadFile(s.CAFile)
	s.tls = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if err != nil || !s.tls.RootCAs.AppendCertsFromPEM(pem) {
		t.Fatalf("read %s: %v", s.CAFile, err)
	}
	return s
}

// access is that of the tests.
func (s *secureRedis) access() redisAccess {
	if s == nil {
		return redisAccess{}
	}
	return redisAccess{user: "test", password: s.own, tls: s.tls}
}

func (s *secureRedis) ready(addr string) bool {
	if s == nil {
		return redisReady(addr)
	}
	reply, err := s.access().command(addr, "PING")
	return err == nil && reply == "PONG"
}

// nodeArgs are what the command line of a Redis has besides.
func (s *secureRedis) nodeArgs(port string) []string {
	if s == nil {
		return nil
	}
	args := []string{
		"--port", "0", "--tls-port", port, "--tls-replication", "yes", "--tls-auth-clients", "no",
		"--tls-cert-file", s.CAFile, "--tls-key-file", s.key, "--tls-ca-cert-file", s.CAFile, "--masteruser", "replica", "--masterauth", s.own,
	}
	for _, user := range []string{
		"default off",
		"test on >" + s.own + " ~* &* +@all",
		s.user + " on >" + s.password + " " + s.namespaces + " " + ShopACL,
		"replica on >" + s.own + " +psync +replconf +ping",
		"sentinel on >" + s.own + " allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info " +
			"+client|setname +client|kill +script|kill",
	} {
		args = append(append(args, "--user"), strings.Fields(user)...)
	}
	return args
}

// sentinelConfig is what the configuration of a Sentinel has besides.
func (s *secureRedis) sentinelConfig(port string) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("port 0\ntls-port %[1]s\ntls-replication yes\ntls-auth-clients no\ntls-cert-file %[2]s\ntls-key-file %[3]s\ntls-ca-cert-file %[2]s\n"+
		"user default off\nuser test on >%[4]s &* +@all\nuser %[5]s on >%[6]s +sentinel|get-master-addr-by-name +sentinel|master\n"+
		"sentinel sentinel-user test\nsentinel sentinel-pass %[4]s\nsentinel auth-user %[7]s sentinel\nsentinel auth-pass %[7]s %[4]s\n",
		port, s.CAFile, s.key, s.own, s.user, s.sentinelPassword, PrimaryName)
}
