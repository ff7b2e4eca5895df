package journal

import (
	"context"
	"errors"
	"time"
)

// Epoch is one life of the Redis data of a partition, as SQL records it.
type Epoch struct {
	Partition uint8
	// Number counts from 1; 0 means that there was none yet.
	Number int64
	// Instance is the Redis history on which it was opened, run_id and replication id: see redisconn.Conn.Instance.
	Instance string
	// LastID is the id of the last journal entry that SQL has applied.
	LastID   string
	OpenedAt time.Time
	// Closed is set once a later epoch was opened: no entry of this one is applied any more.
	Closed bool
	// ClosedAt is when it was closed; zero while it is open.
	ClosedAt time.Time
	// Durability is what a response promises in this epoch, the same for all processes of a shop; empty when it was not recorded.
	Durability string
	// RecordsLostAt is when Redis last came back without data that SQL has; zero for never.
	RecordsLostAt time.Time
	// Mode is where stock is reserved in this epoch: ModeRedis, or ModeSQL while Redis is unavailable.
	Mode Mode
	// Undrained is set when the epoch was closed without its Redis, or its durability was changed to sql: the journal there may hold entries that were
	// acknowledged before they were in SQL, which are applied when Redis is back. It is also set when the durability was changed from sql, if there is a
	// ReserveShare, so that an epoch with a reserve follows.
	Undrained bool
	// SeenAt is when a process last found Redis on this epoch, to about seenInterval; zero for never.
	SeenAt time.Time
	// ReserveShare is the percentage of each product's units that Redis did not get in this epoch.
	ReserveShare int
}

// Mode is where stock is reserved.
type Mode string

// The modes, as SQL records them.
const (
	// ModeRedis: by the scripts in Redis.
	ModeRedis Mode = "redis"
	// ModeSQL: by SQL transactions, because Redis is unavailable.
	ModeSQL Mode = "sql"
)

// EpochStore is SQL's record of the epochs.
type EpochStore interface {
	// OpenEpoch reads the open epoch; ErrNoEpoch when there was none yet.
	OpenEpoch(ctx context.Context, partition uint8) (Epoch, error)
	// EpochAt reads an epoch, open or closed; ErrNoEpoch when there is none of that number.
	EpochAt(ctx context.Context, partition uint8, number int64) (Epoch, error)
	// NextEpoch closes the epoch of the offset (the zero Offset when there is none yet) and opens the next one in Redis, with the Partition, Instance,
	// Durability, RecordsLostAt and ReserveShare of next, in one transaction. It returns ErrEpochConflict when another caller was faster, when SQL has
	// applied entries of the epoch beyond the offset since it was read, or when it is undrained. An offset without an id closes the epoch wherever it stands.
	NextEpoch(ctx context.Context, closed Offset, next Epoch) (Epoch, error)
	// OpenSQLEpoch closes the epoch, because its Redis is unavailable, and opens the next one with ModeSQL, in one transaction. It returns
	// ErrEpochConflict if another caller has closed it, applied entries, or found Redis on it (Epoch.SeenAt) since it was read, and if it is undrained.
	OpenSQLEpoch(ctx context.Context, closed Epoch) (Epoch, error)
	// Undrained reads the epoch with Epoch.Undrained; ErrNoEpoch when there is none.
	Undrained(ctx context.Context, partition uint8) (Epoch, error)
	// Drained records that the epoch of the offset is applied up to its end, so that no entry of it is applied any more. It returns ErrEpochConflict if
	// entries beyond the offset were applied since.
	Drained(ctx context.Context, partition uint8, at Offset) error
	// Seen records that Redis was found on the epoch at the time.
	Seen(ctx context.Context, partition uint8, number int64, at time.Time) error
}

var (
	// ErrNoEpoch means that SQL records no such epoch.
	ErrNoEpoch = errors.New("no epoch was opened yet")
	// ErrEpochConflict means that another caller opened an epoch first, or changed the one to be closed.
	ErrEpochConflict = errors.New("another epoch was opened, or the open one has changed")
	// ErrDurability means that the shop runs with another durability setting than this process.
	ErrDurability = errors.New("another durability setting")
)
