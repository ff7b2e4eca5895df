package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"strings"
)

type versionCmd struct {
	outputFlags
}

// Help is the end of the command's --help.
func (*versionCmd) Help() string {
	return `Examples:

    spillway version
    spillway version --output json`
}

// buildVersion describes how the program was built.
type buildVersion struct {
	Version  string `json:"version"`            // of the module, "(devel)" without one
	Revision string `json:"revision,omitempty"` // of the version control system
	Time     string `json:"time,omitempty"`     // of the revision
	Dirty    bool   `json:"dirty"`              // the source differs from the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func versionOf(info *debug.BuildInfo) buildVersion {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return buildVersion{
		Version: cmp.Or(info.Main.Version, "(devel)"), Revision: settings["vcs.revision"], Time: settings["vcs.time"],
		Dirty: settings["vcs.modified"] == "true", Go: info.GoVersion, Platform: settings["GOOS"] + "/" + settings["GOARCH"],
	}
}

// String is one line.
func (v buildVersion) String() string {
	words := []string{"spillway", v.Version, "revision", cmp.Or(v.Revision, "unknown")}
	if v.Dirty {
		words = append(words, "dirty")
	}
	if v.Time != "" {
		words = append(words, "of", v.Time)
	}
	return strings.Join(append(words, "built with", v.Go, "for", v.Platform), " ")
}

// Run prints the version.
func (c *versionCmd) Run(_ context.Context, env environment) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fmt.Errorf("the program was built without build information")
	}
	if c.json() {
		return printJSON(env.out, versionOf(info))
	}
	fmt.Fprintln(env.out, versionOf(info))
	return nil
}
