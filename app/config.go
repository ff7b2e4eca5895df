package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/server"
)

// Role selects what a process runs.
type Role string

// The roles.
const (
	RoleAll   Role = "all"   // the API and all workers, on embedded storage unless real servers are configured
	RoleServe Role = "serve" // the API
	RoleWork  Role = "work"  // workers
)

// Config configures one process. DefaultConfig sets the defaults and Validate checks it; errors name a setting by its command-line flag.
type Config struct {
	Role     Role
	HTTP     HTTPConfig     // RoleAll and RoleServe
	Boutique BoutiqueConfig // RoleAll and RoleServe
	Admin    AdminConfig
	Auth     AuthConfig // RoleAll and RoleServe; RoleWork with services at URLs
	OIDC     OIDCConfig // RoleAll and RoleServe
	SQL      SQLConfig
	Redis    RedisConfig
	Queue    QueueConfig // RoleAll and RoleWork
	Orders   OrderConfig
	Drain    DrainConfig
	Audit    AuditConfig // RoleAll and RoleWork
	External ExternalConfig
	// Services are the names of the services to serve, of ServiceNames: RoleServe. None is all that Remote has no URL of.
	Services []string
	// Remote are the services that other processes serve: RoleServe and RoleWork.
	Remote   RemoteConfig
	Internal InternalConfig // RoleServe
	// NewLab makes the load lab of a shop for development, which sends loads to the URL until ctx ends; nil: it has none.
	NewLab  func(ctx context.Context, url string, operator func() (string, error)) server.Lab
	Workers []string // names of workers to run, of WorkerNames: RoleAll and RoleWork
}

// DefaultConfig is the configuration of a role without any setting.
func DefaultConfig(role Role) Config {
	c := Config{
		Role: role,
		HTTP: HTTPConfig{
			Listen: "127.0.0.1:8080", SessionsPerMinute: 30, Rates: defaultCallRates(), LatencyTarget: server.DefaultLatency, Reflection: ReflectionAuto,
			DrainTimeout: 20 * time.Second,
		},
		SQL: SQLConfig{DataDir: "data"}, Redis: RedisConfig{Namespace: "spillway"}, Queue: QueueConfig{Topic: "spillway-orders"},
		Orders: OrderConfig{
			Durability: DurabilityAuto, CustomerOrders: 300, UnitsWindow: 24 * time.Hour, UnpaidOrders: 2, UnpaidShare: 10, UnpaidTotal: 10_000,
			CustomerDeclines: 10, AddressDeclines: 100,
			PayWithin: 15 * time.Minute, ReconcileAfter: 30 * time.Second, RepairAfter: time.Minute, LostAfter: 10 * time.Minute,
			SQLModeAttempts: journal.DefaultSQLModeConfig().Attempts, ReserveShare: keepReserveShare,
		},
		Drain: defaultDrain(role),
		External: ExternalConfig{
			Mail: MailConfig{
				SMTPPort: 587, From: "Spillway <orders@spillway.example>", Concurrency: 10, RecipientLimit: mail.DefaultRecipientLimit, Yield: 2 * time.Second,
			},
			Carrier: CarrierConfig{Mode: "ok"},
		},
	}
	if role == RoleAll {
		c.Admin.Listen = "127.0.0.1:9464" // Prometheus' registered port for OpenTelemetry's metrics
	}
	if role != RoleWork {
		c.OIDC = OIDCConfig{Name: DefaultOIDCName, Claim: auth.DefaultClaim}
	}
	if role != RoleServe {
		c.Workers = WorkerNames()
	}
	return c
}

// serves reports whether the role has an API.
func (c Config) serves() bool { return c.Role != RoleWork }

// works reports whether the role has a queue and workers of its choice.
func (c Config) works() bool { return c.Role != RoleServe }

// embedded reports whether the process is a whole shop with a Redis of its own. Other roles without a Redis do not use one.
func (c Config) embedded() bool { return c.Role == RoleAll && c.Redis.embedded() }

// keepsKey reports whether the process may keep a key of its own in the data directory.
func (c Config) keepsKey() bool { return c.Role == RoleAll && c.SQL.embedded() }

// keepsFiles reports whether the process keeps files in the data directory: embedded storage, the key that comes with it, or mails.
func (c Config) keepsFiles() bool {
	n := c.needs()
	return c.Role == RoleAll || n.local[serviceEmail] && c.External.Mail.SMTPHost == ""
}

// Validate reports every mistake in the settings that the role uses. Errors do not contain secrets.
func (c Config) Validate() error {
	errs := []error{c.SQL.validate(), c.Redis.validate(), c.Orders.validate(c.embedded()), c.Drain.validate(), c.External.validate(), c.Admin.validate()}
	if c.serves() {
		errs = append(
			errs,
			c.HTTP.validate(),
			c.Boutique.validate(c.needs().local),
			c.Auth.validate(c.keepsKey()),
			c.OIDC.validate(),
			validateServices(c.Services),
			c.validateInternal(),
		)
	}
	if c.works() {
		errs = append(errs, c.Queue.validate(), c.Audit.validate(), validateWorkers(c.Workers))
	}
	errs = append(errs, c.validateStorage(), c.validateRemote(), c.validatePorts())
	if !slices.Contains([]Role{RoleAll, RoleServe, RoleWork}, c.Role) {
		errs = append(errs, fmt.Errorf("role %q: must be all, serve or work", c.Role))
	}
	return errors.Join(errs...)
}

// validateStorage checks that a process that is not the whole shop has the storage that it needs.
func (c Config) validateStorage() error {
	if c.Role == RoleAll {
		return nil
	}
	var missing []string
	n := c.needs()
	if n.redis && c.Redis.embedded() {
		missing = append(missing, "--redis")
	}
	if n.sql && c.SQL.embedded() {
		missing = append(missing, "--mysql")
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("this process needs %s: embedded storage lives in one process, which is `spillway all`", strings.Join(missing, " and "))
}

func validateWorkers(names []string) error {
	var errs []error
	if len(names) == 0 {
		errs = append(errs, errors.New("--workers: name at least one"))
	}
	for _, name := range names {
		if !slices.Contains(workerNames, name) {
			errs = append(errs, fmt.Errorf("--workers %q: there is no such worker", name))
		}
	}
	return errors.Join(errs...)
}

// AuditConfig configures the audit that a process repeats.
type AuditConfig struct {
	Interval time.Duration // between two audits; 0: none
}

func (c AuditConfig) validate() error {
	if c.Interval < 0 {
		return fmt.Errorf("--audit-interval %s: must not be negative", c.Interval)
	}
	return nil
}

// hostPort checks an address.
func hostPort(flag, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return fmt.Errorf("%s %q: must be HOST:PORT", flag, addr)
	}
	if n, err := strconv.Atoi(port); err == nil && (n < 0 || n > math.MaxUint16) { // Others are names, such as http.
		return fmt.Errorf("%s %q: the port must be 0 to %d", flag, addr, math.MaxUint16)
	}
	return nil
}

// Lab is the load lab of the console.
type Lab = server.Lab

// LabLoad is a load that the console starts in the lab.
type LabLoad = server.LabLoad

// ErrLabBusy means that a load of the lab is running.
var ErrLabBusy = server.ErrLabBusy
