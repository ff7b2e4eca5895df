package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// releaseFile configures goreleaser.
const releaseFile = "../../.goreleaser.yaml"

// release is what is compared of it.
type release struct {
	Before struct{ Hooks []string }
	Builds []struct {
		Main, Binary              string
		Env, Tags, Flags, LDFlags []string
		Goos, Goarch              []string
		ModTimestamp              string `yaml:"mod_timestamp"`
	}
	SBOMs []struct {
		Artifacts, Cmd string
		Args           []string
	}
	Checksum struct{ Algorithm string }
}

func readRelease(t *testing.T) (r release) {
	t.Helper()
	text, err := os.ReadFile(releaseFile)
	if err == nil {
		err = yaml.Unmarshal(text, &r)
	}
	if err != nil || len(r.Builds) != 1 {
		t.Fatalf("%d builds (%v)", len(r.Builds), err)
	}
	return r
}

// TestRelease_BuildsWhatMakeBuilds: the programs of a release are those that are tested.
func TestRelease_BuildsWhatMakeBuilds(t *testing.T) {
	r := readRelease(t)
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^BUILD_FLAGS := (.*)$`).FindSubmatch(makefile)
	build := regexp.MustCompile(`(?m)^\t(CGO_ENABLED=0) go build \$\(BUILD_FLAGS\) -o bin/(spillway) (\./cmd/spillway)$`).FindSubmatch(makefile)
	if flags == nil || build == nil {
		t.Fatal("the Makefile builds in another way than this test knows")
	}
	b := r.Builds[0]
	got := "-tags=" + strings.Join(b.Tags, ",") + " " + strings.Join(b.Flags, " ") + " -ldflags='" + strings.Join(b.LDFlags, " ") + "'"
	if got != string(flags[1]) || !slices.Equal(b.Env, []string{string(build[1])}) || b.Binary != string(build[2]) || b.Main != string(build[3]) {
		t.Errorf("goreleaser builds %s of %s with %v and %s; make with %s", b.Binary, b.Main, b.Env, got, flags[1])
	}
	if len(r.Before.Hooks) == 0 || !strings.HasPrefix(r.Before.Hooks[0], "make web") {
		t.Errorf("the pages are not built first: %v", r.Before.Hooks)
	}
	if b.ModTimestamp == "" || len(r.SBOMs) != 1 || r.SBOMs[0].Artifacts != "binary" || r.Checksum.Algorithm != "sha256" {
		t.Errorf("%+v", r)
	}
}

// TestRelease_ListsWhatIsInAProgram runs the command of the SBOM as goreleaser does, on a program that was built with the flags of a release.
func TestRelease_ListsWhatIsInAProgram(t *testing.T) {
	r := readRelease(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b, sbom := r.Builds[0], r.SBOMs[0]
	program, document := filepath.Join(dir, b.Binary), filepath.Join(dir, "sbom.json")
	args := slices.Concat(
		[]string{"build", "-buildvcs=false", "-tags=" + strings.Join(b.Tags, ","), "-ldflags=" + strings.Join(b.LDFlags, " ")},
		b.Flags,
		[]string{"-o", program, b.Main},
	)
	for _, cmd := range []*exec.Cmd{
		exec.Command("make", ".bin/cyclonedx-gomod"),
		exec.Command("go", args...),
		exec.Command(strings.Replace(sbom.Cmd, "{{ .Env.PWD }}", root, 1), strings.Fields(strings.NewReplacer("$document", document, "$artifact", program).Replace(strings.Join(sbom.Args, " ")))...),
	} {
		cmd.Dir, cmd.Env = root, append(os.Environ(), b.Env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	list, err := os.ReadFile(document)
	if err != nil || !strings.Contains(string(list), `"CycloneDX"`) || !strings.Contains(string(list), "pkg:golang/connectrpc.com/connect@") {
		t.Errorf("the list of %d bytes is no CycloneDX, or lacks a library (%v)", len(list), err)
	}
}
