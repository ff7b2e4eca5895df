package rocketmq

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RocketMQ's protocol prescribes HMAC with SHA-1.
	"encoding/hex"
	"fmt"
	"time"

	names "github.com/apache/rocketmq-clients/golang/v5/metadata"
)

// Credentials are a user of the proxy. Their zero value signs nothing, for a proxy without authentication.
type Credentials struct {
	AccessKey, SecretKey string
}

// sign returns the metadata that authenticates a request at the time: its date, and the date's HMAC under the secret key.
func (c Credentials) sign(now time.Time) []string {
	if c.AccessKey == "" {
		return nil
	}
	date := now.UTC().Format("20060102T150405Z")
	mac := hmac.New(sha1.New, []byte(c.SecretKey))
	mac.Write([]byte(date))
	return []string{names.DateTime, date, names.Authorization, fmt.Sprintf("%s %s=%s//%s, %s=%s, %s=%s", names.EncryptHeader,
		names.Credential, c.AccessKey, names.Rocketmq, names.SignedHeaders, names.DateTime, names.Signature, hex.EncodeToString(mac.Sum(nil)))}
}
