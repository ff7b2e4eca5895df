package rocketmq_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/spillway/spillway/queue/rocketmq"
)

// heartbeatMetadata returns the metadata of the heartbeat of a consumer with the credentials.
func heartbeatMetadata(t *testing.T, user rocketmq.Credentials) metadata.MD {
	t.Helper()
	f := &fakeProxy{attempts: 17}
	b, _ := serve(t, f, func(c *rocketmq.Config) { c.Credentials = user })
	c, err := b.Consumer("t", "g")
	if err != nil {
		t.Fatal(err)
	}
	receiveNothing(t, c)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.metadata
}

// TestCredentials_SignEachRequest: the date is signed with the secret key, which is not sent.
func TestCredentials_SignEachRequest(t *testing.T) {
	got := heartbeatMetadata(t, rocketmq.Credentials{AccessKey: "shop", SecretKey: "s3cret"})
	date := got.Get("x-mq-date-time")
	if len(date) != 1 {
		t.Fatalf("dates: %v", date)
	}
	mac := hmac.New(sha1.New, []byte("s3cret"))
	mac.Write([]byte(date[0]))
	want := "MQv2-HMAC-SHA1 Credential=shop//Rocketmq, SignedHeaders=x-mq-date-time, Signature=" + hex.EncodeToString(mac.Sum(nil))
	if signed := got.Get("authorization"); len(signed) != 1 || signed[0] != want {
		t.Errorf("authorization %q, want %q", signed, want)
	}
}

func TestCredentials_NoneSignNothing(t *testing.T) {
	if got := heartbeatMetadata(t, rocketmq.Credentials{}); len(got.Get("authorization"))+len(got.Get("x-mq-date-time")) > 0 {
		t.Errorf("metadata %v; want no signature", got)
	}
}
