package doctor

import (
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// of is a session of a process.
func of(change func(*Config)) *session {
	cfg := Config{Role: "all", Process: Process{
		AuthKey: "3f9a1c07e58b2d64907cb1fe83a5d2c6417e0b9f58d3ac216e7094fbd8153ca2", Listen: "127.0.0.1:0", Files: 65_536, Connections: 16_384, OtherFiles: 256,
		MemoryLimit: 512 << 20, ContainerMemory: math.MaxInt64,
	}}
	change(&cfg)
	return newSession(cfg)
}

func TestProcess_Limits(t *testing.T) {
	t.Parallel()
	s := of(func(*Config) {})
	want(t, s, "process.open-files", OK, "65536", "")
	want(t, s, "process.memory", OK, "no memory limit", "")
	s.machine.clockSynced = func() (bool, bool) { return true, true }
	want(t, s, "process.clock", OK, "", "")
	s.machine.clockSynced = func() (bool, bool) { return false, true }
	want(t, s, "process.clock", Warn, "not synchronised", "timedatectl")
	s.machine.clockSynced = func() (bool, bool) { return false, false }
	want(t, s, "process.clock", Skipped, "", "")
	want(t, of(func(c *Config) { c.Process.Files = 1024 }), "process.open-files", Warn, "1024", "ulimit -n 16640")
	want(t, of(func(c *Config) { c.Process.Files = 256 }), "process.open-files", Fail, "256", "LimitNOFILE")
	want(t, of(func(c *Config) { c.Process.ContainerMemory = 256 << 20 }), "process.memory", Fail, "256 MiB", "GOMEMLIMIT=204MiB")
	want(t, of(func(c *Config) { c.Process.ContainerMemory = 530 << 20 }), "process.memory", Warn, "530 MiB", "GOMEMLIMIT=423MiB")
}

func TestProcess_Files(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	key := filepath.Join(dir, "auth.key")
	s := of(func(c *Config) { c.Process.DataDir, c.Process.KeyFile, c.Process.AuthKey = dir, key, "" })
	want(t, s, "process.data-dir", Skipped, "a start makes it", "")
	want(t, s, "process.auth-key", OK, "the first start makes one", "")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, key, "3f9a1c07e58b2d64907cb1fe83a5d2c6417e0b9f58d3ac216e7094fbd8153ca2", 0o600)
	write(t, filepath.Join(dir, "spillway.db"), "", 0o644)
	want(t, s, "process.data-dir", OK, "its user only", "")
	want(t, s, "process.auth-key", OK, "64 characters", "")
	chmod(t, key, 0o640)
	want(t, s, "process.data-dir", Fail, "auth.key (640)", "chmod 700 "+dir)
	chmod(t, key, 0o600)
	chmod(t, dir, 0o755)
	want(t, s, "process.data-dir", Fail, "spillway.db (644)", "chmod 600")
	chmod(t, filepath.Join(dir, "spillway.db"), 0o600)
	want(t, s, "process.data-dir", Warn, "(755)", "chmod 700 "+dir)
	want(t, of(func(c *Config) { c.Process.DataDir = key }), "process.data-dir", Fail, "no directory", "--data-dir")

	s.machine.diskSpace = func(string) (free, total uint64, err error) { return 100 << 20, 100 << 30, nil }
	want(t, s, "process.disk", Fail, "100 MiB free of 100 GiB", "--data-dir")
	s.machine.diskSpace = func(string) (free, total uint64, err error) { return 1 << 30, 100 << 30, nil }
	want(t, s, "process.disk", Warn, "1024 MiB", "make room")
	s.machine.diskSpace = func(string) (free, total uint64, err error) { return 50 << 30, 100 << 30, nil }
	want(t, s, "process.disk", OK, "50 GiB", "")
	if _, total, err := thisMachine().diskSpace(dir); err != nil || total == 0 {
		t.Errorf("the disk of %s: %d bytes, %v", dir, total, err)
	}

	secret := filepath.Join(t.TempDir(), "dsn")
	write(t, secret, "x", 0o644)
	s = of(func(c *Config) { c.Process.SecretFiles = map[string]string{"--mysql-file": secret} })
	want(t, s, "process.secret-files", Warn, "--mysql-file, 644", "chmod 600")
	chmod(t, secret, 0o440)
	want(t, s, "process.secret-files", OK, "", "")
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestProcess_AuthKey(t *testing.T) {
	t.Parallel()
	for key, status := range map[string]Status{
		strings.Repeat("k", 32):                      Fail,
		strings.Repeat("ab", 32):                     Fail,
		"changeme-changeme-changeme-changeme":        Fail,
		"qwertyuiopasdfghjklzxcvbnm12345678":         OK, // No list has every pattern.
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`{":           Fail,
		"9b1f6c0e7d3a25848c4fe01b6a92d7f3":           OK,
		"hQ7x2mVw9LpZ4kTn8RbY3cFs6JdG1vXeUaWyKqHt5M": OK,
	} {
		fix := ""
		if status == Fail {
			fix = "openssl rand -hex 32"
		}
		want(t, of(func(c *Config) { c.Process.AuthKey = key }), "process.auth-key", status, "", fix)
	}
	if r := checkAuthKey(t.Context(), of(func(c *Config) { c.Process.AuthKey = "changeme-1-2-3-4-5-6-7-8-9-0-1-2" })); strings.Contains(r.Found, "changeme-1") {
		t.Errorf("the result has the key: %s", r.Found)
	}
}

func TestProcess_Ports(t *testing.T) {
	t.Parallel()
	want(t, of(func(*Config) {}), "process.listen", OK, "is free", "")
	want(t, of(func(c *Config) { c.Process.Listen = "192.0.2.1:8080" }), "process.listen", Fail, "192.0.2.1", "--listen")
	page := func(path, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				_, _ = w.Write([]byte(body))
			}
		})
	}
	shop, admin := httptest.NewServer(page("/shop.json", `{"testCards":true}`)), httptest.NewServer(page("/readyz", `{"breakers":{}}`))
	defer shop.Close()
	defer admin.Close()
	secure := httptest.NewTLSServer(shop.Config.Handler)
	defer secure.Close()
	want(t, of(func(c *Config) { c.Process.Listen = secure.Listener.Addr().String() }), "process.listen", OK, "already", "")
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	want(t, of(func(c *Config) { c.Process.Listen = shop.Listener.Addr().String() }), "process.listen", OK, "already", "")
	want(t, of(func(c *Config) { c.Process.Admin = admin.Listener.Addr().String() }), "process.admin", OK, "already", "")
	want(t, of(func(c *Config) { c.Process.Listen = other.Listener.Addr().String() }), "process.listen", Fail, "another program", "--listen")
	want(t, of(func(c *Config) { c.Process.Admin = other.Listener.Addr().String() }), "process.admin", Fail, "another program", "--admin")
	want(t, of(func(c *Config) { c.Process.Admin = "127.0.0.1:0" }), "process.admin", OK, "free", "")
	want(t, of(func(c *Config) { c.Process.Admin = "0.0.0.0:0" }), "process.admin", Warn, "everyone", "--admin 127.0.0.1:9464")
	want(t, of(func(c *Config) { c.Process.Admin, c.Process.Pprof = "0.0.0.0:0", true }), "process.admin", Warn, "profiles", "--admin-pprof")
	// A port that accepts and never responds does not hold up the doctor.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := of(func(c *Config) { c.Process.Listen = silent.Addr().String() })
	s.timeout = 300 * time.Millisecond
	want(t, s, "process.listen", Fail, "", "")
}

func TestProcess_Exposure(t *testing.T) {
	t.Parallel()
	want(t, of(func(*Config) {}), "process.tls", OK, "this machine only", "")
	want(t, of(func(c *Config) { c.Process.Listen = "0.0.0.0:8080" }), "process.tls", Warn, "plain", "--trusted-proxies")
	want(t, of(func(c *Config) { c.Process.Listen, c.Process.TLS = "0.0.0.0:8080", true }), "process.tls", OK, "speaks TLS", "")
	want(t, of(func(c *Config) { c.Process.Listen, c.Process.Proxies = "0.0.0.0:8080", []string{"10.0.0.0/8"} }), "process.tls", OK, "10.0.0.0/8", "")
	want(t, of(func(c *Config) { c.Process.Proxies = []string{"10.0.0.0/8"} }), "process.proxies", OK, "", "")
	want(t, of(func(c *Config) { c.Process.Proxies = []string{"0.0.0.0/0"} }), "process.proxies", Fail, "everyone", "--trusted-proxies")
	for origin, status := range map[string]Status{
		"https://shop.example": OK, "http://localhost:5173": OK, "http://[::1]:5173": OK, "http://shop.example": Warn, "*": Fail, "https://*.shop.example": Fail,
		"shop.example": Fail, "https://shop.example/": Fail, "null": Fail,
	} {
		fix := ""
		if status != OK {
			fix = "--cors-origin"
		}
		want(t, of(func(c *Config) { c.Process.Origins = []string{origin} }), "process.cors", status, "", fix)
	}
}
