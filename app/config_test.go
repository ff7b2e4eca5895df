package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/app"
)

func onServers(c app.Config) app.Config {
	c.SQL.MySQL, c.Redis.Addr = "root@tcp(127.0.0.1:3306)/shop", "127.0.0.1:6379"
	c.Auth.Key = strings.Repeat("k", 32)
	return c
}

func TestConfig_DefaultsAreValid(t *testing.T) {
	for name, cfg := range map[string]app.Config{
		"all":            app.DefaultConfig(app.RoleAll),
		"all on servers": onServers(app.DefaultConfig(app.RoleAll)),
		"serve":          onServers(app.DefaultConfig(app.RoleServe)),
		"work":           onServers(app.DefaultConfig(app.RoleWork)),
	} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfig_MistakesAreNamedByTheirFlags(t *testing.T) {
	all, serve, work := app.DefaultConfig(app.RoleAll), app.DefaultConfig(app.RoleServe), onServers(app.DefaultConfig(app.RoleWork))
	for flag, c := range map[string]struct {
		from  app.Config
		spoil func(c *app.Config)
	}{
		"--redis and --mysql":      {serve, func(*app.Config) {}},
		"--auth-key":               {onServers(serve), func(c *app.Config) { c.Auth.Key = "" }},
		"auth key has 1 bytes":     {all, func(c *app.Config) { c.Auth.Key = "k" }},
		"--mysql: must be":         {work, func(c *app.Config) { c.SQL.MySQL = "user:s3cret@host" }},
		"--mysql-password":         {all, func(c *app.Config) { c.SQL.Password = "s3cret" }},
		"--data-dir":               {all, func(c *app.Config) { c.SQL.DataDir = "" }},
		"--redis: a host":          {all, func(c *app.Config) { c.Redis.Addr = "x" }},
		"--redis: the scheme":      {all, func(c *app.Config) { c.Redis.Addr = "http://x" }},
		"--redis-username":         {all, func(c *app.Config) { c.Redis.Addr, c.Redis.Username = "redis://x", "u" }},
		"--redis-ca-file":          {all, func(c *app.Config) { c.Redis.Addr, c.Redis.CAFile = "redis://x", "/none" }},
		"--redis-ca-file: open":    {all, func(c *app.Config) { c.Redis.Addr, c.Redis.CAFile = "rediss://x", "/none" }},
		"has no PEM certificate":   {all, func(c *app.Config) { c.Redis.Addr, c.Redis.CAFile = "rediss://x", "/dev/null" }},
		"--redis-sentinel-":        {all, func(c *app.Config) { c.Redis.Addr, c.Redis.SentinelPassword = "redis://x", "p" }},
		"--redis-namespace":        {all, func(c *app.Config) { c.Redis.Namespace = "a b" }},
		"--rocketmq":               {all, func(c *app.Config) { c.Queue.RocketMQ = "x" }},
		"--simulate-queue-drop":    {all, func(c *app.Config) { c.Queue.Drop = "orders:0" }},
		"--admin":                  {all, func(c *app.Config) { c.Admin.Listen = "9464" }},
		"--listen":                 {all, func(c *app.Config) { c.HTTP.Listen = "8080" }},
		"needs --online-boutique":  {all, func(c *app.Config) { c.Boutique.Listen = "127.0.0.1:8082" }},
		"boutique-listen \"80\"":   {all, func(c *app.Config) { c.Boutique = app.BoutiqueConfig{Enabled: true, Listen: "80"} }},
		"it needs the service":     {all, func(c *app.Config) { c.Boutique.Enabled, c.Services = true, []string{"catalog", "cart"} }},
		"the address of --listen":  {all, func(c *app.Config) { c.Boutique = app.BoutiqueConfig{Enabled: true, Listen: "0.0.0.0:8080"} }},
		"--trusted-proxies":        {all, func(c *app.Config) { c.HTTP.TrustedProxies = []string{"proxy"} }},
		"--max-checkouts":          {all, func(c *app.Config) { c.HTTP.Checkouts = -1 }},
		"--max-reads":              {all, func(c *app.Config) { c.HTTP.Reads = 1 << 20 }},
		"--latency-target":         {all, func(c *app.Config) { c.HTTP.LatencyTarget = time.Microsecond }},
		"--customer-reads":         {all, func(c *app.Config) { c.HTTP.Rates.CustomerReads = -1 }},
		"--customer-writes":        {all, func(c *app.Config) { c.HTTP.Rates.CustomerWrites = -1 }},
		"--address-reads":          {all, func(c *app.Config) { c.HTTP.Rates.AddressReads = -1 }},
		"--address-writes":         {all, func(c *app.Config) { c.HTTP.Rates.AddressWrites = -1 }},
		"--session-rate":           {all, func(c *app.Config) { c.HTTP.SessionsPerMinute = -1 }},
		"--drain-timeout":          {all, func(c *app.Config) { c.HTTP.DrainTimeout = 0 }},
		"--durability":             {all, func(c *app.Config) { c.Orders.Durability = "none" }},
		"--durability replica":     {all, func(c *app.Config) { c.Orders.Durability = "replica" }},
		"--journal-max":            {all, func(c *app.Config) { c.Orders.JournalMax = -1 }},
		"--pay-within":             {all, func(c *app.Config) { c.Orders.PayWithin = 0 }},
		"--customer-orders":        {all, func(c *app.Config) { c.Orders.CustomerOrders = -1 }},
		"--unpaid-share":           {all, func(c *app.Config) { c.Orders.UnpaidShare = 101 }},
		"--units-window":           {all, func(c *app.Config) { c.Orders.UnitsWindow = time.Millisecond }},
		"--rocketmq-access-key":    {all, func(c *app.Config) { c.Queue.AccessKey = "user" }},
		"--rocketmq-ca-file needs": {all, func(c *app.Config) { c.Queue.RocketMQ, c.Queue.CAFile = "x:1", "/none" }},
		"--rocketmq-ca-file: open": {all, func(c *app.Config) { c.Queue.RocketMQ, c.Queue.TLS, c.Queue.CAFile = "x:1", true, "/none" }},
		"--flush-batch":            {all, func(c *app.Config) { c.Drain.FlushBatch = 0 }},
		"--relay-batch":            {all, func(c *app.Config) { c.Drain.RelayBatch = 1001 }},
		"--write-batch":            {all, func(c *app.Config) { c.Drain.WriteBatch = 1001 }},
		"--ship-batch":             {all, func(c *app.Config) { c.Drain.ShipBatch = -1 }},
		"--order-writers":          {all, func(c *app.Config) { c.Drain.Writers = 0 }},
		"--shippers":               {all, func(c *app.Config) { c.Drain.Shippers = 9 }},
		"--flush-linger":           {all, func(c *app.Config) { c.Drain.FlushLinger = -1 }},
		"--relay-linger":           {all, func(c *app.Config) { c.Drain.RelayLinger = time.Minute }},
		"--audit-interval":         {all, func(c *app.Config) { c.Audit.Interval = -1 }},
		"--oidc-issuer":            {all, func(c *app.Config) { c.OIDC.Issuer, c.OIDC.Audience = "http://id.example.com", "spillway" }},
		"--oidc-audience: name":    {all, func(c *app.Config) { c.OIDC.Issuer = "https://id.example.com" }},
		"--oidc-audience needs":    {all, func(c *app.Config) { c.OIDC.Audience = "spillway" }},
		"--oidc-name": {all, func(c *app.Config) {
			c.OIDC = app.OIDCConfig{Issuer: "https://id.example.com", Audience: "s", Name: "A"}
		}},
		"--rates-max-age":          {all, func(c *app.Config) { age := -time.Second; c.External.Rates.MaxAge = &age }},
		"--mail-from":              {all, func(c *app.Config) { c.External.Mail.From = "nobody" }},
		"--mail-recipient-limit":   {all, func(c *app.Config) { c.External.Mail.RecipientLimit = -1 }},
		"--mail-concurrency":       {all, func(c *app.Config) { c.External.Mail.Concurrency = 0 }},
		"--mail-yield":             {all, func(c *app.Config) { c.External.Mail.Yield = -1 }},
		"--smtp-host":              {all, func(c *app.Config) { c.External.Mail.SMTPPlain = true }},
		"--carrier-latency":        {all, func(c *app.Config) { c.External.Carrier.Latency = -1 }},
		"--simulate-provider-flap": {all, func(c *app.Config) { c.External.Provider.Flap = -1 }},
		"--workers: name":          {work, func(c *app.Config) { c.Workers = nil }},
		"--workers \"sleeper\"":    {work, func(c *app.Config) { c.Workers = []string{"sleeper"} }},
	} {
		cfg := c.from
		c.spoil(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestConfig_ErrorsDoNotContainSecrets(t *testing.T) {
	cfg := app.DefaultConfig(app.RoleAll)
	cfg.External.Mail.SMTPPassword, cfg.Redis.Password, cfg.Redis.SentinelPassword = "s3cret", "s3cret", "s3cret"
	cfg.SQL.MySQL, cfg.SQL.Password, cfg.Auth.Key = "user:s3cret@host", "s3cret", "s3cret"
	for _, addr := range []string{"x", "http://u:s3cret@h", "redis://u:s3cret%zz@h", "redis-sentinel://u:s3cret@h1,h2"} {
		cfg.Redis.Addr = addr
		if err := cfg.Validate(); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}

// TestCommands_CreateNothing: the functions of commands that look after a database do not create one.
func TestCommands_CreateNothing(t *testing.T) {
	parent := t.TempDir()
	cfg := app.SQLConfig{DataDir: filepath.Join(parent, "no-such-directory")}
	run := app.AuditRun{SQL: cfg, Redis: app.DefaultConfig(app.RoleAll).Redis, Grace: time.Minute, MaxPaidAge: time.Minute}
	for name, f := range map[string]func() error{
		"Migrations": func() error { _, err := app.Migrations(t.Context(), cfg); return err },
		"Seed":       func() error { _, err := app.Seed(t.Context(), cfg); return err },
		"Durability": func() error { _, err := app.Durability(t.Context(), cfg, ""); return err },
		"RunAudit":   func() error { _, err := app.RunAudit(t.Context(), run, slog.New(slog.DiscardHandler)); return err },
		"Minter":     func() error { _, err := app.AuthConfig{}.Minter(cfg.DataDir); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), cfg.DataDir) {
			t.Errorf("%s: %v, want an error that names the directory", name, err)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Errorf("%s created %v (%v)", name, left, err)
		}
	}
}
