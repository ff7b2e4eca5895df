package app

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/currency"
	"github.com/spillway/spillway/doctor"
	"github.com/spillway/spillway/queue/rocketmq"
)

// Diagnose checks the configuration, what it depends on and the state of the shop. It changes nothing. secretFiles are the files that secrets were
// read from, by flag. It fails for a configuration that is not valid.
func Diagnose(ctx context.Context, c Config, secretFiles map[string]string) (doctor.Report, error) {
	cfg, err := c.diagnosis(secretFiles)
	if err != nil {
		return doctor.Report{}, err
	}
	return doctor.Run(ctx, cfg), nil
}

// diagnosis is what the doctor checks.
func (c Config) diagnosis(secretFiles map[string]string) (cfg doctor.Config, err error) {
	if err := c.Validate(); err != nil {
		return cfg, err
	}
	n := c.needs()
	cfg = doctor.Config{Role: string(c.Role), Process: c.diagnosedProcess(secretFiles), External: c.diagnosedExternal(n), Secrets: c.secrets()}
	if c.public() {
		cfg.Issuer = c.OIDC.Issuer
	}
	limits := c.Orders.limits(c.embedded())
	cfg.Orders = doctor.Orders{
		Partition: partition, Uses: n.redis, Durability: c.Orders.Durability, Default: c.Orders.durability("", c.Redis.embedded()),
		JournalMax: limits.JournalMax, UnpaidTotal: limits.UnpaidTotal,
	}
	if n.sql {
		cfg.SQL = c.SQL.diagnosed(c.Role)
	}
	if n.local[serviceCurrency] {
		cfg.Rates = &currency.Config{File: c.External.Rates.File, MaxAge: c.External.Rates.maxAge()}
	}
	var errs [3]error
	if n.redis && !c.Redis.embedded() {
		cfg.Redis, errs[0] = c.Redis.diagnosed()
	}
	if n.queue && c.Queue.RocketMQ != "" {
		cfg.Queue, errs[1] = c.Queue.diagnosed(c.Workers)
	}
	if len(n.remote) > 0 {
		cfg.Services, errs[2] = c.diagnosedServices(n)
		cfg.TokenExpires, _ = auth.Expiry(c.Remote.Token)
	}
	return cfg, errors.Join(errs[:]...)
}

func (c Config) diagnosedProcess(secretFiles map[string]string) doctor.Process {
	p := doctor.Process{
		SecretFiles: secretFiles, Admin: c.Admin.Listen, Pprof: c.Admin.Pprof, Files: openFiles(), OtherFiles: reservedFiles,
		MemoryLimit: currentMemoryLimit(), ContainerMemory: cgroupMemory(os.DirFS("/")),
	}
	if c.keepsFiles() {
		p.DataDir = c.SQL.DataDir
	}
	if c.serves() || len(c.needs().remote) > 0 { // It verifies tokens, or makes those that it sends.
		p.AuthKey = c.Auth.Key
	}
	if !c.serves() {
		return p
	}
	p.Internal, p.InternalTLS, p.Certificates = c.Internal.Listen, c.Internal.CertFile != "", c.diagnosedCertificates()
	if c.Boutique.Enabled {
		p.Boutique = c.Boutique.address()
	}
	if !c.public() {
		return p
	}
	p.Listen, p.Origins, p.Proxies = c.HTTP.Listen, c.HTTP.Origins, c.HTTP.TrustedProxies
	p.TLS = c.HTTP.TLSCert != ""
	p.Connections = c.HTTP.wantedConnections()
	if c.keepsKey() {
		p.KeyFile = DevKey(c.SQL.DataDir)
	}
	return p
}

// currentMemoryLimit is the limit that Run would set, or that the environment has set.
func currentMemoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	return memoryLimit(os.DirFS("/"))
}

func (c SQLConfig) diagnosed(role Role) *doctor.SQL {
	out := &doctor.SQL{DSN: c.dsn(), File: c.sqlitePath(), Embedded: role == RoleAll && c.embedded()}
	if cfg, err := c.parse(); err == nil && !c.embedded() {
		out.Addr = cfg.Addr
	}
	return out
}

func (c RedisConfig) diagnosed() (*doctor.Redis, error) {
	conn, err := c.connection()
	return &doctor.Redis{Conn: conn, Namespace: c.Namespace, Advice: redisAdvice}, err
}

func (c QueueConfig) diagnosed(workers []string) (*doctor.Queue, error) {
	cfg, err := c.rocketMQ()
	if err != nil {
		return nil, err
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	broker, err := rocketmq.New(cfg)
	if err != nil {
		return nil, err
	}
	topics, groups := c.access(workers, broker.Features().DeadLetterPrefix)
	out := &doctor.Queue{Addr: c.RocketMQ, TLS: c.TLS, Topic: c.Topic, DeadLetterTopics: topics[1:], Probe: queueProbe{broker}}
	out.Groups = slices.DeleteFunc(slices.Clone(groups), func(group string) bool { return group == groupDrain })
	if slices.Contains(groups, groupDrain) {
		out.DrainGroup = groupDrain
	}
	return out, nil
}

// queueProbe lets the doctor read what a RocketMQ has.
type queueProbe struct{ broker *rocketmq.Broker }

// Topic reads what the proxy knows of a topic.
func (p queueProbe) Topic(ctx context.Context, name string) (doctor.Topic, error) {
	t, err := p.broker.Topic(ctx, name)
	return doctor.Topic(t), untrusted(err)
}

// MaxAttempts reads how often a message of the group is delivered.
func (p queueProbe) MaxAttempts(ctx context.Context, topic, group string) (int, error) {
	n, err := p.broker.MaxAttempts(ctx, topic, group)
	return n, untrusted(err)
}

func untrusted(err error) error {
	if errors.Is(err, rocketmq.ErrUntrusted) {
		return errors.Join(doctor.ErrUntrusted, err)
	}
	return err
}

func (c Config) diagnosedExternal(n needs) doctor.External {
	mail := c.External.Mail
	out := doctor.External{
		Payment: n.local[servicePayment], Simulated: true, Shared: c.External.Provider.File != "", Own: c.ownProvider(), Development: c.forDevelopment(),
		Defects: c.defects(), Mail: n.local[serviceEmail], SMTPPlain: mail.SMTPPlain, MailFrom: mail.From,
		DefaultFrom: DefaultConfig(c.Role).External.Mail.From,
	}
	if mail.SMTPHost != "" {
		out.SMTPAddr = net.JoinHostPort(mail.SMTPHost, strconv.Itoa(mail.SMTPPort))
	}
	return out
}

// forDevelopment reports whether the shop is for one developer: embedded storage, and an address that only this machine reaches.
func (c Config) forDevelopment() bool {
	host, _, err := net.SplitHostPort(c.HTTP.Listen)
	return err == nil && c.Role == RoleAll && c.SQL.embedded() && isLoopback(host)
}

// defects are the flags that are set and simulate defects.
func (c Config) defects() (set []string) {
	for flag, is := range map[string]bool{
		"--simulate-queue-drop": c.Queue.Drop != "", "--simulate-outages": c.External.Outages != "", "--simulate-provider-flap": c.External.Provider.Flap > 0,
		"--simulate-carrier": c.External.Carrier.Mode != "ok", "--carrier-latency": c.External.Carrier.Latency > 100*time.Millisecond,
	} {
		if is {
			set = append(set, flag)
		}
	}
	slices.Sort(set)
	return set
}

// secrets are all values that must not be printed.
func (c Config) secrets() []string {
	all := []string{
		c.Auth.Key, c.SQL.Password, c.Redis.Password, c.Redis.SentinelPassword, c.Queue.AccessKey, c.Queue.SecretKey, c.External.Mail.SMTPPassword, c.Remote.Token,
	}
	all = append(all, strings.Fields(c.Auth.VerifyKeys)...)
	if cfg, err := c.SQL.parse(); err == nil && !c.SQL.embedded() {
		all = append(all, cfg.Passwd, c.SQL.MySQL)
	}
	if conn, err := c.Redis.connection(); err == nil && !c.Redis.embedded() {
		all = append(all, conn.Password)
		if strings.Contains(c.Redis.Addr, "@") {
			all = append(all, c.Redis.Addr)
		}
	}
	// The longest first: one may contain another.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}
