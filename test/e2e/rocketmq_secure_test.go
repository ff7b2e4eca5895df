package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestRocketMQ_TLSAndAccessControl: with a user that may do what a shop needs and no more, orders are shipped and mailed. Without
// the right credentials or authority the start fails, and says what to set.
func TestRocketMQ_TLSAndAccessControl(t *testing.T) {
	mq := realparts.StartSecureRocketMQ(t)
	secret := secretFile(t, mq.SecretKey)
	args := []string{
		"--rocketmq", mq.Addr(), "--rocketmq-tls", "--rocketmq-ca-file", mq.CAFile,
		"--rocketmq-access-key", mq.AccessKey, "--rocketmq-secret-key-file", secret,
	}
	s := onRealParts(t, realparts.StartRedis(t).Addr(), args...)
	placed := s.must("CheckoutService/PlaceOrder", s.guest(), orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "secure").Order
	s.eventually(startTimeout, "the order to be shipped, and both mails to be sent", func() bool {
		o, err := store.NewOrders(s.db()).Get(t.Context(), order.ID(placed.ID))
		mails := []order.MailID{{OrderID: o.ID, Kind: order.MailConfirmation}, {OrderID: o.ID, Kind: order.MailShipped}}
		sent, mailErr := store.NewMails(s.db()).Sent(t.Context(), mails)
		return err == nil && mailErr == nil && o.State == order.Shipped && len(sent) == len(mails)
	})
	text, err := os.ReadFile(s.log.Name())
	if err != nil || strings.Contains(string(text), mq.SecretKey) || strings.Contains(string(text), "refuses the credentials") {
		t.Errorf("the log has the secret or a refusal (%v):\n%s", err, text)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a wrong secret": {
			with(args, "--rocketmq-secret-key-file", secretFile(t, "wrong")), []string{"check signature failed", "--rocketmq-secret-key"},
		},
		"an unknown user":      {with(args, "--rocketmq-access-key", "nobody"), []string{"--rocketmq-access-key"}},
		"no credentials":       {args[:5], []string{"--rocketmq-access-key", "orders shipping"}},
		"another topic":        {append(slices.Clone(args), "--topic", "other"), []string{"no permission", "other", "Pub and Sub"}},
		"an unknown authority": {slices.Concat(args[:3], args[5:]), []string{"unknown authority", "--rocketmq-ca-file"}},
	} {
		out := failedStart(t, s, c.args)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %s\nwant %q in it", name, out, want)
			}
		}
		if strings.Contains(out, mq.SecretKey) {
			t.Errorf("%s: the output has the secret:\n%s", name, out)
		}
	}
}

func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// with returns the arguments with another value of the flag.
func with(args []string, flag, value string) []string {
	out := slices.Clone(args)
	out[slices.Index(out, flag)+1] = value
	return out
}

// failedStart runs the shop with other arguments for its queue, and returns what it prints as it ends by itself.
func failedStart(t *testing.T, s *shop, args []string) string {
	t.Helper()
	cmd := command(t, binary, slices.Concat(s.args[:slices.Index(s.args, "--rocketmq")], args)...)
	cmd.Env = append(os.Environ(), "SPILLWAY_AUTH_KEY="+authKey)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("the shop started with %v:\n%s", args, tail(string(out), 20))
	}
	return string(out)
}
