package server

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/spillway/spillway/order"
)

const (
	// pageDefault is how many things a page holds when the caller does not say.
	pageDefault = 20
	// pageVersion begins what a token holds, so that its form can change.
	pageVersion = "1:"
)

func pageSize(asked int32) int {
	if asked == 0 {
		return pageDefault
	}
	return int(asked)
}

// pageToken says where the next page begins: after this key.
func pageToken(after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(pageVersion + after))
}

// pageAfter reads a token; the first page has none.
func pageAfter(token string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(raw), pageVersion)
	if err != nil || !ok {
		return "", fmt.Errorf("the pageToken is not one of ours: send the nextPageToken of the page before: %w", order.ErrInvalid)
	}
	return after, nil
}

// cut splits what was read for a page of n, one more than n, into the page and the token of the next.
func cut[T any](found []T, n int, key func(T) string) (page []T, next string) {
	if len(found) <= n {
		return found, ""
	}
	return found[:n], pageToken(key(found[n-1]))
}
