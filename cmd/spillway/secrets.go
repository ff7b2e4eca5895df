package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// secretTag is on flags --NAME-file: its value is NAME, the flag of the secret that the file holds.
const secretTag = "secret"

// maxSecretBytes bounds the file of a secret: the longest is a DSN or a token, of less than 4 kB.
const maxSecretBytes = 64 << 10

// readSecrets sets each secret with a given file, and returns these files by flag. A trailing line break is no part of a secret.
func readSecrets(k *kong.Context) (files map[string]string, err error) {
	files = map[string]string{}
	flags := map[string]*kong.Flag{}
	for _, f := range k.Flags() {
		flags[f.Name] = f
	}
	for _, f := range flags {
		name, path := f.Tag.Get(secretTag), f.Target.String()
		if name == "" || path == "" {
			continue
		}
		if flags[name].Target.String() != "" {
			return nil, usageErrorf("--%s and --%s (or their environment variables) are both set: use one", name, f.Name)
		}
		text, err := readSecret(path)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", f.Name, err)
		}
		flags[name].Target.SetString(text)
		files["--"+f.Name] = path
	}
	return files, nil
}

func readSecret(path string) (string, error) {
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
