package deploy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

const (
	// buildTimeout bounds the build of the image: the program is built anew if it was not before.
	buildTimeout = 15 * time.Minute
	// readyTimeout bounds the start of a process.
	readyTimeout = 2 * time.Minute
	// stopTimeout bounds its end.
	stopTimeout = time.Minute
	// user is who runs in the image.
	user = 65532
)

// image is an image in a storage of the test, and a container of it.
type image struct {
	t         *testing.T
	buildah   []string
	container string
}

// buildImage builds the image with the Go and Node of this machine. Neither an engine nor a registry is needed, but root is.
func buildImage(t *testing.T) *image {
	t.Helper()
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Fatalf("buildah is missing: apt-get install buildah (%v)", err)
	}
	storage := t.TempDir()
	i := &image{t: t, buildah: []string{
		"buildah", "--storage-driver", "vfs", "--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run"),
	}}
	const name = "localhost/spillway:test"
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join("..", "..", "deploy", "image", "image.sh"), "host", name, "linux/"+runtime.GOARCH)
	cmd.Env = append(os.Environ(), "BUILDAH="+strings.Join(i.buildah, " "))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("image.sh: %v\n%s", err, out)
	}
	i.container = strings.TrimSpace(i.run("from", name))
	t.Cleanup(func() {
		if out, err := i.command(context.Background(), "rm", i.container).CombinedOutput(); err != nil {
			t.Errorf("buildah rm: %v\n%s", err, out)
		}
	})
	return i
}

func (i *image) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, i.buildah[0], append(i.buildah[1:len(i.buildah):len(i.buildah)], args...)...)
}

// run runs a command of buildah, and returns its output.
func (i *image) run(args ...string) string {
	i.t.Helper()
	var stderr bytes.Buffer
	cmd := i.command(i.t.Context(), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		i.t.Fatalf("buildah %v: %v\n%s%s", args, err, out, stderr.Bytes())
	}
	return string(out)
}

// inside are the arguments of buildah that run spillway in the container, as its user.
func (i *image) inside(env []string, args ...string) []string {
	line := []string{"run", "--isolation", "chroot", "--user", "65532:65532"}
	for _, e := range env {
		line = append(line, "--env", e)
	}
	return append(append(line, i.container, "--", "/spillway"), args...)
}

// start runs spillway in the container until the test ends, and returns when it is ready.
func (i *image) start(env []string, args ...string) {
	i.t.Helper()
	admin := realparts.FreeAddr(i.t)
	env = append(env[:len(env):len(env)], "SPILLWAY_ADMIN="+admin)
	var log bytes.Buffer
	cmd := i.command(context.Background(), i.inside(env, args...)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	i.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // buildah, and the process in the container
		select {
		case <-ended:
		case <-time.After(stopTimeout):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			i.t.Errorf("%v did not end within %s of SIGTERM", args, stopTimeout)
		}
		if i.t.Failed() {
			i.t.Logf("%v:\n%s", args, log.Bytes())
		}
	})
	i.awaitReady(admin, ended, args)
}

// awaitReady polls with the health check of the image itself.
func (i *image) awaitReady(admin string, ended <-chan error, args []string) {
	i.t.Helper()
	deadline := time.After(readyTimeout)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := i.command(i.t.Context(), i.inside(nil, "ready", "--admin", admin)...).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case err := <-ended:
			i.t.Fatalf("%v ended: %v", args, err)
		case <-deadline:
			i.t.Fatalf("%v is not ready within %s: %s", args, readyTimeout, out)
		}
	}
}

// TestImage_RunsTheShop: the image's user migrates, seeds, serves and works on real servers, and takes orders with which the audit agrees.
func TestImage_RunsTheShop(t *testing.T) {
	env := []string{
		"SPILLWAY_MYSQL=" + realparts.MySQL(t), "SPILLWAY_REDIS=" + realparts.Redis(t), "SPILLWAY_REDIS_NAMESPACE=image-" + rand.Text(),
		"SPILLWAY_AUTH_KEY=" + strings.Repeat("k", 32), "SPILLWAY_LISTEN=" + realparts.FreeAddr(t), "TZ=Asia/Shanghai",
		"SPILLWAY_SIMULATE_PROVIDER_FILE=/data/provider.db", "SPILLWAY_SIMULATE_CARRIER_FILE=/data/carrier.db",
	}
	i := buildImage(t)
	i.run(i.inside(env, "migrate", "up")...)
	i.run(i.inside(env, "seed")...)
	i.start(env, "serve")
	i.start(env, "work")
	url := "SPILLWAY_URL=http://" + strings.TrimPrefix(env[4], "SPILLWAY_LISTEN=")
	i.run(i.inside(append(env, url), "load", "--rate", "5", "--duration", "2s")...)
	i.start([]string{"SPILLWAY_LISTEN=" + realparts.FreeAddr(t)}, "all")

	root := strings.TrimSpace(i.run("mount", i.container))
	checkFiles(t, root)
	checkConfig(t, i.run("inspect", i.container))
}

// checkFiles fails the test if the user owns anything but /data, or if a file is missing.
func checkFiles(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Join(root, "data") {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		if !ok || owner.Uid == user || info.Mode().Type() == 0 && info.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s: the user may write to it: %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if pem, err := os.ReadFile(filepath.Join(root, "etc", "ssl", "certs", "ca-certificates.crt")); err != nil ||
		!bytes.Contains(pem, []byte("BEGIN CERTIFICATE")) {
		t.Errorf("certificates of authorities: %v", err)
	}
	for file, component := range map[string]string{"spillway.cdx.json": "github.com/redis/rueidis", "web.cdx.json": "react-dom"} {
		if err := lists(filepath.Join(root, "usr", "share", "sbom", file), component); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// lists returns an error unless a bill of materials has the component.
func lists(file, component string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var bom struct {
		Format     string `json:"bomFormat"`
		Components []struct {
			Name string `json:"name"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		return err
	}
	for _, c := range bom.Components {
		if c.Name == component {
			return nil
		}
	}
	return errors.New(component + " is missing")
}

// checkConfig checks what an engine reads of the image.
func checkConfig(t *testing.T, text string) {
	t.Helper()
	var inspected struct {
		OCIv1 struct {
			Architecture string `json:"architecture"`
			Config       struct {
				User       string
				Entrypoint []string
				Volumes    map[string]any
				Labels     map[string]string
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(text), &inspected); err != nil {
		t.Fatal(err)
	}
	c := inspected.OCIv1.Config
	if c.User != "65532:65532" || len(c.Entrypoint) != 1 || c.Volumes["/data"] == nil || inspected.OCIv1.Architecture != runtime.GOARCH {
		t.Errorf("the image is %+v", inspected.OCIv1)
	}
	for _, label := range []string{"title", "version", "revision", "created", "licenses", "source"} {
		if c.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("the label %s is missing", label)
		}
	}
}
