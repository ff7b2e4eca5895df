package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// sqlConfig says where SQL is.
type sqlConfig struct {
	MySQL   string `name:"mysql" env:"SPILLWAY_MYSQL" placeholder:"USER:PASS@tcp(HOST:PORT)/DB" help:"A MySQL 8 database. Without it, SQLite in --data-dir is used."`
	DataDir string `name:"data-dir" env:"SPILLWAY_DATA_DIR" default:"data" help:"Where the embedded database, the dev key and mails are kept."`
}

func (c sqlConfig) embedded() bool { return c.MySQL == "" }

// dsn is what store.Open takes.
func (c sqlConfig) dsn() string {
	if c.embedded() {
		return "sqlite:" + filepath.Join(c.DataDir, "spillway.db")
	}
	return c.MySQL
}

func (c sqlConfig) validate() error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	return nil
}

// redisConfig says where Redis is.
type redisConfig struct {
	Addr      string `name:"redis" env:"SPILLWAY_REDIS" placeholder:"HOST:PORT" help:"A Redis 7. Without it, one in this process is used, which forgets everything when the process ends."`
	Username  string `name:"redis-username" env:"SPILLWAY_REDIS_USERNAME" help:"User name for Redis' AUTH."`
	Password  string `name:"redis-password" env:"SPILLWAY_REDIS_PASSWORD" help:"Password for Redis' AUTH; better set in the environment."`
	TLS       bool   `name:"redis-tls" env:"SPILLWAY_REDIS_TLS" help:"Speak TLS to Redis."`
	Namespace string `name:"redis-namespace" env:"SPILLWAY_REDIS_NAMESPACE" default:"spillway" help:"Begins the name of each key, so that several shops can share one Redis."`
}

func (c redisConfig) embedded() bool { return c.Addr == "" }

var namespacePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (c redisConfig) validate() error {
	var errs []error
	if !c.embedded() {
		errs = append(errs, hostPort("--redis", c.Addr))
	}
	if !namespacePattern.MatchString(c.Namespace) {
		errs = append(errs, fmt.Errorf("--redis-namespace %q: take 1 to 64 letters, digits, '-' or '_'", c.Namespace))
	}
	return errors.Join(errs...)
}

func (c redisConfig) stock() stock.RedisConfig {
	cfg := stock.RedisConfig{Addr: c.Addr, Username: c.Username, Password: c.Password}
	if c.TLS {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return cfg
}

// queueConfig says where the queue is.
type queueConfig struct {
	RocketMQ string `name:"rocketmq" env:"SPILLWAY_ROCKETMQ" placeholder:"HOST:PORT" help:"The gRPC proxy of a RocketMQ 5. Without it, the queue is a stream in Redis."`
	Topic    string `name:"topic" env:"SPILLWAY_TOPIC" default:"spillway-orders" help:"The topic of order events, one for each shop. It must exist in RocketMQ, with the groups orders, shipping, mail and dead-letters."`
	Drop     string `name:"simulate-queue-drop" env:"SPILLWAY_SIMULATE_QUEUE_DROP" placeholder:"GROUP:N" help:"Lose every Nth message of the group (orders, shipping or mail) for good, as a broker with a defect does: for tests only."`
}

func (c queueConfig) validate() error {
	if _, _, err := c.drop(); err != nil {
		return err
	}
	if c.RocketMQ == "" {
		return nil
	}
	return hostPort("--rocketmq", c.RocketMQ)
}

// orderConfig sets up how orders are taken.
type orderConfig struct {
	Durability     string        `name:"durability" env:"SPILLWAY_DURABILITY" enum:"auto,journal,sql" default:"auto" help:"What an answer promises. journal: the order is in Redis' append-only file; sql: its row and its stock are in SQL. All processes of a shop share one setting, which the database records; another one is refused (see spillway durability). auto: the recorded one; at first sql on the embedded Redis and journal on a real one."`
	JournalMax     int           `name:"journal-max" env:"SPILLWAY_JOURNAL_MAX" default:"0" help:"How many journal entries may wait for SQL before orders are refused with resource_exhausted; 0 is 200000 on a real Redis and 8000 on the embedded one."`
	CustomerOrders int           `name:"customer-orders" env:"SPILLWAY_CUSTOMER_ORDERS" default:"300" help:"How many orders a customer may place in a minute; 0 is no limit."`
	UnitsWindow    time.Duration `name:"units-window" env:"SPILLWAY_UNITS_WINDOW" default:"24h" help:"How long the units that a customer ordered count towards the maxPerCustomer of a product; 0 means that only those of one order do."`
	UnpaidOrders   int           `name:"unpaid-orders" env:"SPILLWAY_UNPAID_ORDERS" default:"2" help:"How many unpaid orders a customer may have; 0 is no limit. Unpaid are orders without a card, and those whose card did not answer."`
	UnpaidShare    int           `name:"unpaid-share" env:"SPILLWAY_UNPAID_SHARE" default:"10" help:"How much of the unsold units of a product unpaid orders may hold, in percent, but at least one unit; 0 is no limit."`
	UnpaidTotal    int           `name:"unpaid-total" env:"SPILLWAY_UNPAID_TOTAL" default:"10000" help:"How many unpaid orders there may be in all, of about 7 kB in Redis each; 0 is no limit."`
	PayWithin      time.Duration `name:"pay-within" env:"SPILLWAY_PAY_WITHIN" default:"15m" help:"How long an order that was placed without a card can be paid; then it is cancelled."`
	ReconcileAfter time.Duration `name:"reconcile-after" env:"SPILLWAY_RECONCILE_AFTER" default:"30s" help:"After how long an order whose payment is not known is settled or cancelled by asking the payment service. A checkout takes up to 15s."`
	RepairAfter    time.Duration `name:"repair-after" env:"SPILLWAY_REPAIR_AFTER" default:"1m" help:"After how long an order that the queue did not bring to SQL is brought there from Redis; a confirmation that was not sent is sent after twice as long."`
	LostAfter      time.Duration `name:"lost-after" env:"SPILLWAY_LOST_AFTER" default:"10m" help:"How long after a Redis lost its data the orders that it held may still come through the queue; then they are cancelled and refunded. At least 20s."`
}

func (c orderConfig) validate() error {
	var errs []error
	for flag, d := range map[string]time.Duration{"--pay-within": c.PayWithin, "--reconcile-after": c.ReconcileAfter, "--repair-after": c.RepairAfter, "--lost-after": c.LostAfter} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s %s: must be more than nothing", flag, d))
		}
	}
	if c.JournalMax < 0 {
		errs = append(errs, fmt.Errorf("--journal-max %d: must not be negative", c.JournalMax))
	}
	for flag, n := range map[string]int{"--customer-orders": c.CustomerOrders, "--unpaid-orders": c.UnpaidOrders, "--unpaid-total": c.UnpaidTotal} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s %d: must not be negative", flag, n))
		}
	}
	if c.UnpaidShare < 0 || c.UnpaidShare > 100 {
		errs = append(errs, fmt.Errorf("--unpaid-share %d: must be 0 to 100", c.UnpaidShare))
	}
	if c.UnitsWindow != 0 && c.UnitsWindow < time.Second {
		errs = append(errs, fmt.Errorf("--units-window %s: must be a second or more, or 0", c.UnitsWindow))
	}
	return errors.Join(errs...)
}

// unpaidSlack is how long after its expiry an unpaid order is counted at most: the reconciler cancels it seconds after that.
const unpaidSlack = 5 * time.Minute

// embeddedJournalMax: the in-process Redis walks its streams, which is slow beyond 10,000 entries.
const embeddedJournalMax = 8000

func (c orderConfig) limits(embedded bool) stock.Limits {
	l := stock.DefaultLimits()
	l.CustomerOrders, l.UnitsWindow = c.CustomerOrders, c.UnitsWindow
	l.UnpaidOrders, l.UnpaidPercent, l.UnpaidTotal = c.UnpaidOrders, c.UnpaidShare, c.UnpaidTotal
	l.UnpaidTTL = c.PayWithin + unpaidSlack
	switch {
	case c.JournalMax > 0:
		l.JournalMax = c.JournalMax
	case embedded:
		l.JournalMax = embeddedJournalMax
	}
	return l
}

const durabilityAuto = "auto"

// durability is the setting of this process: that of the flag, or else the one that the shop's database has recorded, or the default.
func (c orderConfig) durability(recorded string, embedded bool) string {
	switch {
	case c.Durability != durabilityAuto:
		return c.Durability
	case recorded != "":
		return recorded
	case embedded:
		return store.DurabilitySQL
	}
	return store.DurabilityJournal
}

// watchConfig sets up how the shop looks after itself.
type watchConfig struct {
	AuditEvery time.Duration `name:"audit-every" env:"SPILLWAY_AUDIT_EVERY" default:"0s" placeholder:"DURATION" help:"Check that the books close this often, and log what breaks a rule; it also sets the metric spillway.audit.broken. It reads every order, so one process is enough. 0 is never."`
}

func (c watchConfig) validate() error {
	if c.AuditEvery < 0 {
		return fmt.Errorf("--audit-every %s: must not be negative", c.AuditEvery)
	}
	return nil
}

// httpConfig sets up the port.
type httpConfig struct {
	Listen      string        `name:"listen" env:"SPILLWAY_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where the API listens: Connect, gRPC and gRPC-Web on one port."`
	Origins     []string      `name:"cors-origin" env:"SPILLWAY_CORS_ORIGINS" placeholder:"ORIGIN" help:"An origin whose pages may call the API, such as https://shop.example; may be repeated."`
	SessionRate int           `name:"session-rate" env:"SPILLWAY_SESSION_RATE" default:"30" help:"How many guest sessions one client address (IPv6: one /64) may start in a minute, in each process; 0 is no limit. Calls with an operator's or a service's token are exempt."`
	Proxies     []string      `name:"trusted-proxies" env:"SPILLWAY_TRUSTED_PROXIES" placeholder:"CIDR" help:"The proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8; may be repeated. Without any, the client's address is that of the connection."`
	Drain       time.Duration `name:"drain-timeout" env:"SPILLWAY_DRAIN_TIMEOUT" default:"20s" help:"How long a shutdown waits for requests under way and, on embedded storage, for the workers."`
}

func (c httpConfig) validate() error {
	err := hostPort("--listen", c.Listen)
	if _, perr := c.proxies(); perr != nil {
		err = errors.Join(err, perr)
	}
	if c.SessionRate < 0 {
		err = errors.Join(err, fmt.Errorf("--session-rate %d: must not be negative", c.SessionRate))
	}
	if c.Drain <= 0 {
		err = errors.Join(err, fmt.Errorf("--drain-timeout %s: must be more than nothing", c.Drain))
	}
	return err
}

// proxies reads --trusted-proxies: networks, or single addresses.
func (c httpConfig) proxies() ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(c.Proxies))
	for _, text := range c.Proxies {
		p, err := netip.ParsePrefix(text)
		if addr, aerr := netip.ParseAddr(text); err != nil && aerr == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies %q: must be an address or a network such as 10.0.0.0/8", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// keyConfig says by which key tokens are signed.
type keyConfig struct {
	Key string `name:"auth-key" env:"SPILLWAY_AUTH_KEY" help:"The secret that signs bearer tokens: at least 32 characters, the same in every process. On embedded storage one is made on first start."`
}

// hostPort checks an address.
func hostPort(flag, addr string) error {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return fmt.Errorf("%s %q: must be HOST:PORT", flag, addr)
	}
	return nil
}
