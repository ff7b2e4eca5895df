package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/currency"
	"github.com/spillway/spillway/redisconn"
)

// Config is the configuration of the process that is diagnosed. What the process does not use is nil or empty.
type Config struct {
	// Role is all, serve or work.
	Role    string
	Process Process
	Redis   *Redis
	SQL     *SQL
	Queue   *Queue
	Orders  Orders
	// Rates are the exchange rates; nil if the process converts no prices.
	Rates    *currency.Config
	External External
	// Services are those that the process calls at URLs.
	Services []Service
	// TokenExpires is when the token for them expires; zero if the process makes its own, or if that is not known.
	TokenExpires time.Time
	// Issuer is the outside issuer of customers' tokens; empty if there is none.
	Issuer string
	// Secrets are replaced in all results.
	Secrets []string
}

// Process is what the process takes from its machine.
type Process struct {
	// DataDir is the directory of the embedded database, the key and mails; empty if the process keeps no files. KeyFile is its development key.
	DataDir, KeyFile string
	// SecretFiles are the files that secrets are read from, by flag.
	SecretFiles map[string]string
	// AuthKey signs tokens; empty if the process verifies none, or with KeyFile.
	AuthKey string
	// Listen and Admin are the addresses that it listens on; empty: none.
	Listen, Admin string
	TLS           bool // the API's port speaks TLS
	// Internal is the address for other processes, and Boutique that for clients of Online Boutique; empty: none.
	Internal, Boutique string
	InternalTLS        bool
	// Certificates are those of the ports.
	Certificates []Certificate
	Pprof        bool // profiles are served on any admin address
	Origins      []string
	Proxies      []string
	// Connections is the number of connections of the API's port that are wanted, Files the limit of open files, and OtherFiles the number of
	// those that are no connections of the port.
	Connections, Files, OtherFiles int
	// MemoryLimit is what the garbage collector keeps to, and ContainerMemory what the kernel allows, in bytes.
	MemoryLimit, ContainerMemory int64
}

// Certificate is a certificate and its key in PEM files. Flag is that of the certificate's.
type Certificate struct{ Flag, CertFile, KeyFile string }

// Service is a service in another process.
type Service struct {
	Name, URL string
	// TLS means that the calls are encrypted, and Local that the service is on this machine.
	TLS, Local bool
	// Probe makes a call that changes nothing. It fails with ErrTokenRefused if the service does not accept the token.
	Probe func(ctx context.Context) error
	// Advice returns what to set after an error of Probe.
	Advice func(error) string
}

// ErrTokenRefused means that a service does not accept the token of this process.
var ErrTokenRefused = errors.New("the token is refused")

// Redis is a Redis outside of the process.
type Redis struct {
	Conn      redisconn.Config
	Namespace string
	// Advice returns what to set for one that refuses the process.
	Advice func(*redisconn.RefusedError) string
}

// SQL is the database.
type SQL struct {
	// DSN is as store.Open takes it. Addr is the host:port of a MySQL, or the path of a socket; empty for SQLite, which is in File.
	DSN, Addr, File string
	// Embedded means that the process has the database for itself, and migrates it when it starts.
	Embedded bool
}

// Queue is a RocketMQ.
type Queue struct {
	Addr string
	TLS  bool
	// Topic is that of order events. Groups are those that read it, DeadLetterTopics are read by DrainGroup; empty if the process runs no such worker.
	Topic            string
	Groups           []string
	DeadLetterTopics []string
	DrainGroup       string
	Probe            QueueProbe
}

// QueueProbe reads what a RocketMQ has. It creates nothing. Its methods fail with queue.ErrUnauthorized, queue.ErrUnavailable or ErrUntrusted.
type QueueProbe interface {
	Topic(ctx context.Context, name string) (Topic, error)
	// MaxAttempts fails with queue.ErrUnknownGroup; 0 is an unknown number.
	MaxAttempts(ctx context.Context, topic, group string) (int, error)
}

// Topic is what a queue knows of a topic. Normal means that it takes messages without an order or a delay, and can be read and written.
type Topic struct {
	Found  bool
	Queues int
	Normal bool
}

// Orders is how orders are taken.
type Orders struct {
	// Partition is that of the shop's stock. Uses is set if the process uses stock and orders in Redis.
	Partition uint8
	Uses      bool
	// Durability is the configured one, or DurabilityAuto. Default is what auto is on a new database.
	Durability, Default string
	// JournalMax and UnpaidTotal are limits of entries and orders in Redis; 0: none.
	JournalMax, UnpaidTotal int
}

// DurabilityAuto is the durability that the database records.
const DurabilityAuto = "auto"

// External is how the external services are configured.
type External struct {
	// Payment means that the process calls the payment provider. Simulated means that it takes no money, and Shared that processes share one.
	Payment, Simulated, Shared bool
	// Own means that it is in the memory of this process, which is not the only one of the shop.
	Own bool
	// Development means that the shop is for one developer: embedded storage on a loopback address.
	Development bool
	// Defects are the flags that are set and simulate defects.
	Defects []string
	// Mail means that the process sends mails: to the SMTP server, or without one to a file.
	Mail                  bool
	SMTPAddr              string
	SMTPPlain             bool
	MailFrom, DefaultFrom string
}
