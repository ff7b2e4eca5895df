package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/spillway/spillway/app"
)

// sqlFlags locate SQL.
type sqlFlags struct {
	MySQL        string `name:"mysql" env:"SPILLWAY_MYSQL" placeholder:"USER:PASS@tcp(HOST:PORT)/DB" help:"A MySQL 8 database. Without it, SQLite in --data-dir is used."`
	MySQLFile    string `name:"mysql-file" env:"SPILLWAY_MYSQL_FILE" secret:"mysql" placeholder:"PATH" help:"A file that holds --mysql."`
	Password     string `name:"mysql-password" env:"SPILLWAY_MYSQL_PASSWORD" help:"The password, instead of the one in --mysql; better set in the environment."`
	PasswordFile string `name:"mysql-password-file" env:"SPILLWAY_MYSQL_PASSWORD_FILE" secret:"mysql-password" placeholder:"PATH" help:"A file that holds it."`
	DataDir      string `name:"data-dir" env:"SPILLWAY_DATA_DIR" default:"${data_dir}" help:"Where the embedded database, the dev key and mails are kept."`
}

func (f sqlFlags) config() app.SQLConfig {
	return app.SQLConfig{MySQL: f.MySQL, Password: f.Password, DataDir: f.DataDir}
}

// redisFlags locate Redis.
type redisFlags struct {
	Addr     string `name:"redis" env:"SPILLWAY_REDIS" placeholder:"ADDRESS" help:"A Redis 7: HOST:PORT, redis://USER:PASSWORD@HOST:PORT, or with Sentinels redis-sentinel://USER:PASSWORD@HOST:26379,HOST,HOST/PRIMARY, of which all are to be listed; rediss and rediss-sentinel speak TLS. Without it, one in this process is used, which forgets everything when the process ends."`
	AddrFile string `name:"redis-file" env:"SPILLWAY_REDIS_FILE" secret:"redis" placeholder:"PATH" help:"A file that holds --redis."`

	Username     string `name:"redis-username" env:"SPILLWAY_REDIS_USERNAME" help:"User name for Redis' AUTH, instead of the one in --redis."`
	Password     string `name:"redis-password" env:"SPILLWAY_REDIS_PASSWORD" help:"Password for Redis' AUTH, instead of the one in --redis; better set in the environment."`
	PasswordFile string `name:"redis-password-file" env:"SPILLWAY_REDIS_PASSWORD_FILE" secret:"redis-password" placeholder:"PATH" help:"A file that holds it."`

	SentinelUsername     string `name:"redis-sentinel-username" env:"SPILLWAY_REDIS_SENTINEL_USERNAME" help:"User name for AUTH at the Sentinels."`
	SentinelPassword     string `name:"redis-sentinel-password" env:"SPILLWAY_REDIS_SENTINEL_PASSWORD" help:"Password for AUTH at the Sentinels; better set in the environment. Without it, the Sentinels are used without AUTH."`
	SentinelPasswordFile string `name:"redis-sentinel-password-file" env:"SPILLWAY_REDIS_SENTINEL_PASSWORD_FILE" secret:"redis-sentinel-password" placeholder:"PATH" help:"A file that holds it."`

	TLS       bool   `name:"redis-tls" env:"SPILLWAY_REDIS_TLS" help:"Speak TLS to Redis and the Sentinels."`
	CAFile    string `name:"redis-ca-file" env:"SPILLWAY_REDIS_CA_FILE" placeholder:"PATH" help:"The PEM file of the authorities that sign their certificates, instead of the system's."`
	Namespace string `name:"redis-namespace" env:"SPILLWAY_REDIS_NAMESPACE" default:"${redis_namespace}" help:"Begins the name of each key, so that several shops can share one Redis. It is the same for all processes of a shop."`
}

func (f redisFlags) config() app.RedisConfig {
	return app.RedisConfig{
		Addr: f.Addr, Username: f.Username, Password: f.Password, SentinelUsername: f.SentinelUsername, SentinelPassword: f.SentinelPassword,
		TLS: f.TLS, CAFile: f.CAFile, Namespace: f.Namespace,
	}
}

// queueFlags locate the queue.
type queueFlags struct {
	RocketMQ string `name:"rocketmq" env:"SPILLWAY_ROCKETMQ" placeholder:"HOST:PORT" help:"The gRPC proxy of a RocketMQ 5. Without it, the queue is a stream in Redis."`

	AccessKey     string `name:"rocketmq-access-key" env:"SPILLWAY_ROCKETMQ_ACCESS_KEY" placeholder:"KEY" help:"The access key that signs requests to RocketMQ. Without it, they are not signed."`
	AccessKeyFile string `name:"rocketmq-access-key-file" env:"SPILLWAY_ROCKETMQ_ACCESS_KEY_FILE" secret:"rocketmq-access-key" placeholder:"PATH" help:"A file that holds it."`
	SecretKey     string `name:"rocketmq-secret-key" env:"SPILLWAY_ROCKETMQ_SECRET_KEY" placeholder:"KEY" help:"The secret key that belongs to it; better set in the environment."`
	SecretKeyFile string `name:"rocketmq-secret-key-file" env:"SPILLWAY_ROCKETMQ_SECRET_KEY_FILE" secret:"rocketmq-secret-key" placeholder:"PATH" help:"A file that holds it."`

	TLS    bool   `name:"rocketmq-tls" env:"SPILLWAY_ROCKETMQ_TLS" help:"Speak TLS to RocketMQ."`
	CAFile string `name:"rocketmq-ca-file" env:"SPILLWAY_ROCKETMQ_CA_FILE" placeholder:"PATH" help:"The PEM file of the authorities that sign its certificate, instead of the system's."`

	Topic string `name:"topic" env:"SPILLWAY_TOPIC" default:"${topic}" help:"The topic of order events, one for each shop. It must exist in RocketMQ, with the groups orders, shipping, mail and dead-letters."`
	Drop  string `name:"simulate-queue-drop" env:"SPILLWAY_SIMULATE_QUEUE_DROP" placeholder:"GROUP:N" help:"Lose every Nth message of the group (orders, shipping or mail) for good, as a broker with a defect does: for tests only."`
}

func (f queueFlags) config() app.QueueConfig {
	return app.QueueConfig{
		RocketMQ: f.RocketMQ, AccessKey: f.AccessKey, SecretKey: f.SecretKey, TLS: f.TLS, CAFile: f.CAFile, Topic: f.Topic, Drop: f.Drop,
	}
}

// adminFlags configure the admin address of serve and work, which have none by default: several of them may run on one machine.
type adminFlags struct {
	Listen string `name:"admin" env:"SPILLWAY_ADMIN" placeholder:"HOST:PORT" help:"Where /metrics, /readyz with details, gRPC reflection (see --reflection) and, on a loopback address, /debug/pprof are served, such as 127.0.0.1:9464, to everyone who reaches the address."`
	Pprof  bool   `name:"admin-pprof" env:"SPILLWAY_ADMIN_PPROF" help:"Serve /debug/pprof at --admin also if that is no loopback address. Profiles show what is in memory, and taking them costs CPU."`
}

func (f adminFlags) config() app.AdminConfig {
	return app.AdminConfig{Listen: f.Listen, Pprof: f.Pprof}
}

// auditFlags configure the audit that a process repeats.
type auditFlags struct {
	Every time.Duration `name:"audit-interval" env:"SPILLWAY_AUDIT_INTERVAL" default:"0s" placeholder:"DURATION" help:"The time between two audits of the shop by itself; violations are logged; it also sets the metric spillway.audit.violations. It reads every order, so one process is enough. 0 is never."`
}

func (f auditFlags) config() app.AuditConfig { return app.AuditConfig{Interval: f.Every} }

// authFlags hold the key by which tokens are signed.
type authFlags struct {
	Key     string `name:"auth-key" env:"SPILLWAY_AUTH_KEY" help:"The secret that signs bearer tokens: at least 32 characters, the same in every process. On embedded storage one is made on first start."`
	KeyFile string `name:"auth-key-file" env:"SPILLWAY_AUTH_KEY_FILE" secret:"auth-key" placeholder:"PATH" help:"A file that holds it."`

	VerifyKeys     string `name:"auth-verify-keys" env:"SPILLWAY_AUTH_VERIFY_KEYS" help:"Up to four further secrets, with white space between them: tokens that they signed are accepted. For a rotation: see docs/operations.md."`
	VerifyKeysFile string `name:"auth-verify-keys-file" env:"SPILLWAY_AUTH_VERIFY_KEYS_FILE" secret:"auth-verify-keys" placeholder:"PATH" help:"A file that holds them, one a line."`
}

func (f authFlags) config() app.AuthConfig {
	return app.AuthConfig{Key: f.Key, VerifyKeys: f.VerifyKeys}
}

// flagDefaults are the values that the flags' tags interpolate. The defaults are those of package app.
func flagDefaults() kong.Vars {
	d := app.DefaultConfig(app.RoleAll)
	return kong.Vars{
		"workers":              strings.Join(app.WorkerNames(), ","),
		"services":             strings.Join(app.ServiceNames(), ","),
		"data_dir":             d.SQL.DataDir,
		"redis_namespace":      d.Redis.Namespace,
		"topic":                d.Queue.Topic,
		"listen":               d.HTTP.Listen,
		"admin":                d.Admin.Listen,
		"boutique_listen":      app.DefaultBoutiqueListen,
		"customer_reads":       strconv.Itoa(d.HTTP.Rates.CustomerReads),
		"customer_writes":      strconv.Itoa(d.HTTP.Rates.CustomerWrites),
		"address_reads":        strconv.Itoa(d.HTTP.Rates.AddressReads),
		"address_writes":       strconv.Itoa(d.HTTP.Rates.AddressWrites),
		"reflection":           string(d.HTTP.Reflection),
		"session_rate":         strconv.Itoa(d.HTTP.SessionsPerMinute),
		"latency_target":       durationText(d.HTTP.LatencyTarget),
		"drain_timeout":        durationText(d.HTTP.DrainTimeout),
		"durability":           d.Orders.Durability,
		"customer_orders":      strconv.Itoa(d.Orders.CustomerOrders),
		"units_window":         durationText(d.Orders.UnitsWindow),
		"unpaid_orders":        strconv.Itoa(d.Orders.UnpaidOrders),
		"customer_declines":    strconv.Itoa(d.Orders.CustomerDeclines),
		"address_declines":     strconv.Itoa(d.Orders.AddressDeclines),
		"unpaid_share":         strconv.Itoa(d.Orders.UnpaidShare),
		"unpaid_total":         strconv.Itoa(d.Orders.UnpaidTotal),
		"flush_batch":          strconv.Itoa(d.Drain.FlushBatch),
		"relay_batch":          strconv.Itoa(d.Drain.RelayBatch),
		"write_batch":          strconv.Itoa(d.Drain.WriteBatch),
		"ship_batch":           strconv.Itoa(d.Drain.ShipBatch),
		"flush_linger":         durationText(d.Drain.FlushLinger),
		"relay_linger":         durationText(d.Drain.RelayLinger),
		"order_writers":        strconv.Itoa(d.Drain.Writers),
		"shippers":             strconv.Itoa(d.Drain.Shippers),
		"pay_within":           durationText(d.Orders.PayWithin),
		"reconcile_after":      durationText(d.Orders.ReconcileAfter),
		"repair_after":         durationText(d.Orders.RepairAfter),
		"lost_after":           durationText(d.Orders.LostAfter),
		"sql_mode_attempts":    strconv.Itoa(d.Orders.SQLModeAttempts),
		"reserve_share":        strconv.Itoa(d.Orders.ReserveShare),
		"smtp_port":            strconv.Itoa(d.External.Mail.SMTPPort),
		"mail_from":            d.External.Mail.From,
		"mail_limit":           strconv.Itoa(d.External.Mail.Concurrency),
		"mail_recipient_limit": strconv.Itoa(d.External.Mail.RecipientLimit),
		"mail_yield":           durationText(d.External.Mail.Yield),
		"carrier":              d.External.Carrier.Mode,
		"oidc_name":            d.OIDC.Name,
		"oidc_claim":           d.OIDC.Claim,
	}
}

// durationText is "15m" for what Duration.String writes as "15m0s".
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
