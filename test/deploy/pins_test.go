package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// fakeDocker prints a digest for each image but one, and fails for that.
const fakeDocker = `#!/usr/bin/env bash
case "$6" in *unknown*) exit 1 ;; esac
printf 'sha256:%s' "$(printf '%s' "$6" | sha256sum | cut -c 1-64)"
`

// pinImages runs the script on files with the text, and returns the new text.
func pinImages(t *testing.T, text string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "compose.yaml")
	for path, content := range map[string]string{filepath.Join(dir, "docker"): fakeDocker, file: text} {
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("../../tools/pin-images.sh", file)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	pinned, rerr := os.ReadFile(file)
	if rerr != nil {
		t.Fatal(rerr)
	}
	return string(pinned), err
}

var (
	images = regexp.MustCompile(`docker\.io/\S+:\S+`)
	digest = regexp.MustCompile(`@sha256:[0-9a-f]{64}`)
)

// filesWithImages returns the text of all files of the repository that name images of others.
func filesWithImages(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../deploy/kubernetes/*/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, file := range append(files, "../../compose.yaml", "../../Containerfile") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(content)
	}
	return text.String()
}

// TestImages_ArePinned: each image of others has an exact version and a digest, which is the same wherever the image is named.
func TestImages_ArePinned(t *testing.T) {
	digests := map[string]string{}
	for _, image := range images.FindAllString(filesWithImages(t), -1) {
		image = strings.TrimRight(image, `"',}`)
		name, pin, _ := strings.Cut(image, "@")
		if !digest.MatchString("@" + pin) {
			t.Errorf("%s has no digest", image)
		}
		if other, ok := digests[name]; ok && other != pin {
			t.Errorf("%s has the digests %s and %s", name, pin, other)
		}
		digests[name] = pin
	}
	if len(digests) < 10 {
		t.Errorf("found %d images; want at least 10", len(digests))
	}
}

// TestPinImages_OfTheWholeSystem: all images get a digest, once, and nothing else changes.
func TestPinImages_OfTheWholeSystem(t *testing.T) {
	text := digest.ReplaceAllString(filesWithImages(t), "")
	pinned, err := pinImages(t, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range images.FindAllString(pinned, -1) {
		if len(digest.FindAllString(image, -1)) != 1 {
			t.Errorf("%s has no digest, or several", image)
		}
	}
	if n := len(images.FindAllString(text, -1)); n < 10 || len(digest.FindAllString(pinned, -1)) != n || digest.ReplaceAllString(pinned, "") != text {
		t.Errorf("%d images, and the rest of the text changed: %s", n, pinned)
	}
	if again, err := pinImages(t, pinned); err != nil || again != pinned {
		t.Errorf("a second run changed it (%v)", err)
	}
	if _, err := pinImages(t, text+"\nimage: docker.io/unknown:1\n"); err == nil {
		t.Error("an image without a digest was passed over")
	}
}

// TestRocketMQJars_AreTheOnesThatWereTried: a jar that is another, or one more, is not run.
func TestRocketMQJars_AreTheOnesThatWereTried(t *testing.T) {
	const script = "../../deploy/native/rocketmq.sh"
	if out, err := exec.Command(script, "prepare").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, change := range map[string]func(lib, jar string) error{
		"as tried": nil,
		"another": func(_, jar string) error {
			return os.WriteFile(jar, []byte("PK"), 0o600) // The link was removed.
		},
		"one is missing": func(string, string) error { return nil },
		"one more":       func(lib, _ string) error { return os.WriteFile(filepath.Join(lib, "zz.jar"), nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lib := filepath.Join(dir, "rocketmq", "lib")
			copied := "mkdir -p \"$2\" && { cp -al \"$1\" \"$2\" 2>/dev/null || cp -a \"$1\" \"$2\"; }"
			installed := filepath.Join(realparts.ServicesDir(t), "rocketmq", "lib")
			if out, err := exec.Command("bash", "-c", copied, "bash", installed, filepath.Dir(lib)).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if change != nil {
				jars, err := filepath.Glob(filepath.Join(lib, "rocketmq-broker-*.jar"))
				if err != nil || len(jars) != 1 {
					t.Fatal(jars, err)
				}
				if name != "one more" {
					err = os.Remove(jars[0])
				}
				if err != nil || change(lib, jars[0]) != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(script, "check")
			cmd.Env = append(os.Environ(), "SPILLWAY_SERVICES_DIR="+dir)
			out, err := cmd.CombinedOutput()
			if change == nil && err != nil || change != nil && (err == nil || !strings.Contains(string(out), "jars.sha256")) {
				t.Errorf("%s (%v)", out, err)
			}
		})
	}
}
