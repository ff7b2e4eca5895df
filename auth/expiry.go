package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// Expiry returns when a token expires, for a process that sends it and has no key to verify it; false if the text is no token with a time of expiry.
func Expiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 { //nolint:mnd // Header, claims and signature.
		return time.Time{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Expires int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(text, &claims) != nil || claims.Expires <= 0 {
		return time.Time{}, false
	}
	return time.Unix(claims.Expires, 0).UTC(), true
}
