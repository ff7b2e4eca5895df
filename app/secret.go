package app

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecretBytes bounds the file of a secret: the longest is a DSN or a token, of less than 4 kB.
const maxSecretBytes = 64 << 10

// ReadSecret reads a secret from a file. A trailing line break is no part of it.
func ReadSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // It was only read.
	text, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	switch secret := strings.TrimRight(string(text), "\r\n"); {
	case err != nil:
		return "", err
	case len(text) > maxSecretBytes:
		return "", fmt.Errorf("%s: more than %d bytes", path, maxSecretBytes)
	case secret == "":
		return "", fmt.Errorf("%s: is empty", path)
	default:
		return secret, nil
	}
}
