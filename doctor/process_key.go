package doctor

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
)

const (
	// minKeyBits is the entropy in bits, as estimated from a key's characters, below which a key is no random one: 32 random hexadecimal digits have about 115.
	minKeyBits = 90
	keyFix     = "make one with `openssl rand -hex 32`, and give it to every process: --auth-key-file (SPILLWAY_AUTH_KEY_FILE); those who are signed in sign in again"
)

// commonKeys are in keys that were copied from an example or typed as a placeholder.
var commonKeys = []string{"changeme", "change-me", "secret", "password", "example", "0123456789", "abcdefghij", "spillway", "replace"}

func checkAuthKey(_ context.Context, s *session) Result {
	key, where := s.cfg.Process.AuthKey, "the key"
	if key == "" && s.cfg.Process.KeyFile != "" {
		text, err := os.ReadFile(s.cfg.Process.KeyFile)
		if errors.Is(err, fs.ErrNotExist) {
			return ok("there is no key yet; the first start makes one")
		}
		if err != nil {
			return fail("let the user of the process read it: `chown` it", "the key in the data directory: %v", err)
		}
		key, where = string(text), "the key in the data directory"
	}
	if key == "" {
		return unused("this process verifies no tokens")
	}
	for _, common := range commonKeys {
		if strings.Contains(strings.ToLower(key), common) {
			return fail(keyFix, "%s contains %q, as examples do", where, common)
		}
	}
	if bits := entropy(key); bits < minKeyBits {
		return fail(keyFix, "%s has %d characters which repeat: about %.0f bits, and %d are needed", where, len(key), bits, minKeyBits)
	}
	return ok("%s has %d characters, and no pattern that is easily seen", where, len(key))
}

// entropy is the entropy in bits of a text by how often each of its bytes, and each step from one byte to the next, occurs in it; the lower of both.
func entropy(text string) float64 {
	steps := make([]byte, 0, len(text))
	for i := 1; i < len(text); i++ {
		steps = append(steps, text[i]-text[i-1])
	}
	return min(bitsOf([]byte(text)), bitsOf(steps))
}

func bitsOf(values []byte) (bits float64) {
	var counts [256]float64
	for _, v := range values {
		counts[v]++
	}
	for _, n := range &counts {
		if n > 0 {
			bits -= n * math.Log2(n/float64(len(values)))
		}
	}
	return bits
}
