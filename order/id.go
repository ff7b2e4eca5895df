package order

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"time"
)

// ID identifies an order: 26 characters of Crockford's base 32 over 48 bits of milliseconds since 1970, 8 bits of
// partition and 72 random bits. IDs sort by time as text, cannot be guessed, and contain the Redis partition of the
// order.
type ID string

// IDLen is the length of every ID, in characters.
const IDLen = 26

// idBytes is the length of an ID before its encoding: 6 of time, 1 of partition, 9 random.
const idBytes = 16

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// FirstID returns the lowest ID of the millisecond of the time. Orders of earlier milliseconds have lower IDs; orders
// of this or later milliseconds do not.
func FirstID(at time.Time) ID {
	var raw [idBytes]byte
	putTime(&raw, at)
	return ID(crockford.EncodeToString(raw[:]))
}

// putTime writes the time's millisecond, clamped to the range of 48 bits.
func putTime(raw *[idBytes]byte, at time.Time) {
	const last = 1<<48 - 1
	ms := min(max(at.UnixMilli(), 0), last)
	for i := range 6 {
		raw[i] = byte(ms >> (40 - 8*i))
	}
}

// NewID returns a random ID for the partition at the time. It is safe for concurrent use.
func NewID(partition uint8, now time.Time) ID {
	var raw [idBytes]byte
	putTime(&raw, now)
	raw[6] = partition
	// crypto/rand.Read never fails: it crashes the program rather than return weak bytes.
	_, _ = rand.Read(raw[7:])
	return ID(crockford.EncodeToString(raw[:]))
}

// ParseID checks that s has the form of an ID, in upper case. Any other text cannot be the id of an order, so it fails
// with ErrNotFound, as a lookup of an unknown order does.
func ParseID(s string) (ID, error) {
	if len(s) != IDLen {
		return "", fmt.Errorf("order id has %d characters, not %d: %w", len(s), IDLen, ErrNotFound)
	}
	// The decoder ignores line breaks, so that text with some gives fewer bytes.
	if raw, err := crockford.DecodeString(s); err != nil || len(raw) != idBytes {
		return "", fmt.Errorf("order id is not base 32: %w", ErrNotFound)
	}
	return ID(s), nil
}

// Partition returns the Redis partition that holds the order while it is hot.
func (id ID) Partition() uint8 { return id.raw()[6] }

// Time returns the creation time in UTC, to the millisecond.
func (id ID) Time() time.Time {
	raw := id.raw()
	var ms int64
	for _, b := range raw[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// raw returns the bytes of the ID, all zero if it is malformed.
func (id ID) raw() (raw [idBytes]byte) {
	if b, err := crockford.DecodeString(string(id)); err == nil && len(b) == idBytes {
		copy(raw[:], b)
	}
	return raw
}
