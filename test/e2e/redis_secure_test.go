package e2e

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// secureShop is a shop on a Redis that requires TLS and a login.
func secureShop(t *testing.T, namespace string, redis ...string) *shop {
	t.Helper()
	dsn := database(t)
	return newShop(t, dsn, slices.Concat([]string{"--data-dir", t.TempDir(), "--mysql", dsn, "--redis-namespace", namespace}, redis))
}

// ships checks that a declined order is released, and that a paid one passes through the journal and the queue to the carrier and the mails.
func (s *shop) ships() {
	s.t.Helper()
	token := s.guest()
	r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, "4000000000000002"), "Idempotency-Key", rand.Text())
	if err != nil || r.Code != "failed_precondition" {
		s.t.Errorf("a declined card: %q, %v", r.Code, err)
	}
	placed := s.must("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", rand.Text()).Order
	s.eventually(startTimeout, "the order to be shipped and confirmed", func() bool {
		o, err := store.NewOrders(s.db()).Get(s.t.Context(), order.ID(placed.ID))
		sent, mailErr := store.NewMails(s.db()).Sent(s.t.Context(), []order.MailID{{OrderID: o.ID, Kind: order.MailConfirmation}})
		return err == nil && mailErr == nil && o.State == order.Shipped && len(sent) == 1
	})
}

// endsWith checks that the shop with other arguments ends by itself with each of the texts, and without the secrets.
func (s *shop) endsWith(name string, args, want, secrets []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "SPILLWAY_AUTH_KEY="+authKey)
	raw, err := cmd.CombinedOutput()
	out := string(raw)
	if err == nil || ctx.Err() != nil {
		s.t.Errorf("%s: the shop started: %v", name, err)
	}
	for _, text := range want {
		if !strings.Contains(out, text) {
			s.t.Errorf("%s: %s\nwant %q in it", name, tail(out, 10), text)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(out, secret) {
			s.t.Errorf("%s: the output has a secret: %s", name, out)
		}
	}
}

// TestRedis_TLSAndACL: a user with the rights of docs/operations.md suffices. Without the right user or authority the start fails, and names what to
// set.
func TestRedis_TLSAndACL(t *testing.T) {
	if manual, err := os.ReadFile("../../docs/operations.md"); err != nil || !strings.Contains(string(manual), realparts.ShopACL) {
		t.Errorf("docs/operations.md does not have the rights of the test (%v)", err)
	}
	namespace := "e2e-" + rand.Text()
	r := realparts.StartSecureRedis(t, namespace)
	url := func(user, password string) string { return "rediss://" + user + ":" + password + "@" + r.Addr() }
	s := secureShop(t, namespace, "--redis-ca-file", r.CAFile, "--redis", url(r.User, r.Password))
	s.ships()
	s.kill()
	s.start()
	s.ships()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	plain := realparts.StartRedis(t).Addr()
	for name, c := range map[string]struct{ args, want []string }{
		"a wrong password":       {with(s.args, "--redis", url(r.User, "wrong")), []string{"WRONGPASS", "--redis-password"}},
		"an unknown user":        {with(s.args, "--redis", url("nobody", r.Password)), []string{"WRONGPASS", "--redis-username"}},
		"no credentials":         {with(s.args, "--redis", "rediss://"+r.Addr()), []string{"NOAUTH", "--redis-password"}},
		"keys of another shop":   {with(s.args, "--redis-namespace", "other"), []string{"NOPERM", "ACL", "--redis-namespace"}},
		"an unknown authority":   {without(s.args, "--redis-ca-file"), []string{"unknown authority", "--redis-ca-file"}},
		"another name":           {with(s.args, "--redis", "rediss://u:p@localhost:"+port(t, r.Addr())), []string{"localhost", "--redis-ca-file"}},
		"no TLS":                 {without(with(s.args, "--redis", "redis://u:p@"+r.Addr()), "--redis-ca-file"), []string{"rediss://"}},
		"TLS to a Redis without": {with(s.args, "--redis", "rediss://"+plain), []string{"does not speak TLS", "redis://"}},
	} {
		s.endsWith(name, c.args, c.want, []string{r.Password})
	}
}

// TestRedis_SentinelsWithTLSAndACL: the same with Sentinels, which have users of their own, and after a failover.
func TestRedis_SentinelsWithTLSAndACL(t *testing.T) {
	namespace := "e2e-" + rand.Text()
	r := realparts.StartSecureSentinel(t, namespace)
	url := func(scheme, password string) string {
		_, hosts, _ := strings.Cut(r.URL(), "://")
		return scheme + "://" + r.User + ":" + password + "@" + hosts
	}
	s := secureShop(t, namespace, "--redis-ca-file", r.CAFile, "--redis-sentinel-username", r.User, "--redis-sentinel-password", r.SentinelPassword,
		"--durability", "replica", "--redis", url("rediss-sentinel", r.Password))
	s.ships()
	old := r.Node(r.Primary())
	old.Kill9()
	r.AwaitFailover(old.Addr())
	s.eventually(startTimeout, "an order after the failover", func() bool {
		_, paid := s.pays(hotSKU, s.guest(), "after")
		return paid
	})
	old.Restart()
	r.AwaitReplica(old.Addr())
	s.ships()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ args, want []string }{
		"a wrong password of Redis":         {with(s.args, "--redis", url("rediss-sentinel", "wrong")), []string{"WRONGPASS", "--redis-password"}},
		"a wrong password of the Sentinels": {with(s.args, "--redis-sentinel-password", "wrong"), []string{"WRONGPASS", "--redis-sentinel-password"}},
		"no credentials of the Sentinels": {
			without(without(s.args, "--redis-sentinel-password"), "--redis-sentinel-username"), []string{"NOAUTH", "--redis-sentinel-password"},
		},
		"an unknown authority": {without(s.args, "--redis-ca-file"), []string{"unknown authority", "--redis-ca-file"}},
		"no TLS":               {without(with(s.args, "--redis", url("redis-sentinel", r.Password)), "--redis-ca-file"), []string{"rediss-sentinel://"}},
	} {
		s.endsWith(name, c.args, c.want, []string{r.Password, r.SentinelPassword})
	}
}

// without returns the arguments without the flag and its value.
func without(args []string, flag string) []string {
	i := slices.Index(args, flag)
	return slices.Concat(args[:i], args[i+2:])
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
