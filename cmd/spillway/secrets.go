package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/spillway/spillway/app"
)

// secretTag is on flags --NAME-file: its value is NAME, the flag of the secret that the file holds.
const secretTag = "secret"

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
		text, err := app.ReadSecret(path)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", f.Name, err)
		}
		flags[name].Target.SetString(text)
		files["--"+f.Name] = path
	}
	return files, nil
}
