package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// defaultPageSize is the number of items of a page when the request has no page size.
	defaultPageSize = 20
	// pageVersion begins what a token holds, so that its form can change.
	pageVersion = "1:"
	// fieldPageToken is the field with the token, in JSON.
	fieldPageToken = "pageToken"
)

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPageSize
	}
	return int(asked)
}

// pageToken returns the token of the page that begins after the key.
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
		return "", invalidField(fieldPageToken, "it is not a token of this server: send the nextPageToken of the page before")
	}
	return after, nil
}

// paginate splits what was read for a page of n, one more than n, into the page and the token of the next.
func paginate[T any](found []T, n int, key func(T) string) (page []T, next string) {
	if len(found) <= n {
		return found, ""
	}
	return found[:n], pageToken(key(found[n-1]))
}

const (
	// filterHashBytes is the length of the hash in a page token. It detects mistakes, not attacks.
	filterHashBytes = 6
	// filterEnd ends the hash of the filters in a page token. No SKU and no id of an order contains it.
	filterEnd = ":"
)

// filterHash stands for the filters in a page token, which goes on in the list that it was made for and in no other.
func filterHash(format string, filters ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, format, filters...))
	return hex.EncodeToString(sum[:filterHashBytes]) + filterEnd
}

func errOtherFilters() error {
	return invalidField(fieldPageToken, "it belongs to other filters: send those of the page before, or no token")
}
