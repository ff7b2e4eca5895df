package realparts

import (
	"testing"

	"github.com/redis/rueidis"
)

// Keys are keys of a Redis with their values, as DUMP writes them. They have no TTLs.
type Keys map[string]string

// CopyKeys copies all keys with the prefix, as an older replica or a backup has them.
func CopyKeys(t testing.TB, c rueidis.Client, prefix string) Keys {
	t.Helper()
	out := make(Keys)
	for _, name := range keyNames(t, c, prefix) {
		dump, err := c.Do(t.Context(), c.B().Dump().Key(name).Build()).ToString()
		if err != nil {
			t.Fatalf("copy key %s: %v", name, err)
		}
		out[name] = dump
	}
	return out
}

// RestoreKeys replaces all keys with the prefix by the copy, as when an older replica becomes the primary. An empty copy deletes them all.
func RestoreKeys(t testing.TB, c rueidis.Client, prefix string, older Keys) {
	t.Helper()
	if names := keyNames(t, c, prefix); len(names) > 0 {
		if err := c.Do(t.Context(), c.B().Del().Key(names...).Build()).Error(); err != nil {
			t.Fatalf("delete the keys %s*: %v", prefix, err)
		}
	}
	for name, dump := range older {
		if err := c.Do(t.Context(), c.B().Restore().Key(name).Ttl(0).SerializedValue(rueidis.BinaryString([]byte(dump))).Build()).Error(); err != nil {
			t.Fatalf("restore key %s: %v", name, err)
		}
	}
}

// keyNames returns the names of the keys with the prefix, which must not contain characters that are special in a glob pattern.
func keyNames(t testing.TB, c rueidis.Client, prefix string) []string {
	t.Helper()
	names, err := c.Do(t.Context(), c.B().Keys().Pattern(prefix+"*").Build()).AsStrSlice()
	if err != nil {
		t.Fatalf("list the keys %s*: %v", prefix, err)
	}
	return names
}
