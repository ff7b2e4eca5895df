package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

const (
	// wantReplicas is how many replicas must have received an entry. Sentinel promotes the replica that has received most, so that one that is
	// left has it.
	wantReplicas = 1
	// replicaTimeout is how long Redis waits for them: a thousand round trips.
	replicaTimeout = time.Second
	// roundTimeout bounds one round, with its commands.
	roundTimeout = 2 * replicaTimeout
)

// ErrNotReplicated means that no replica has confirmed the entry in time. A retry may find it confirmed.
var ErrNotReplicated = errors.New("no replica has confirmed the journal entry in time")

// Replicated waits until a replica has received the journal: durability replica. It is safe for concurrent use.
//
// Redis' WAIT blocks its connection, and the commands of all other callers behind it if that is shared. So it is sent on a
// connection of its own, behind a write that gives it the replication offset, and one WAIT serves all callers that came before it was
// sent: while one round is under way, the callers that come form the next one.
type Replicated struct {
	keys   Keys
	conn   *redisconn.Conn
	epochs *Epochs

	mu      sync.Mutex
	next    *round // the round that callers join; nil while none waits for it
	running bool
}

// round is one WAIT.
type round struct {
	done  chan struct{} // closed at its end
	epoch int64         // of which the journal is confirmed
	err   error
}

// NewReplicated makes the waiter of one partition.
func NewReplicated(keys Keys, conn *redisconn.Conn, epochs *Epochs) *Replicated {
	return &Replicated{keys: keys, conn: conn, epochs: epochs}
}

// Wait returns nil once a replica has received the entry at the offset, which must be in Redis. It returns ErrNotReplicated if none does in time,
// and ErrEpochPassed if the entry's epoch has ended: then only SQL shows whether the entry was lost. The id is not used. The zero Offset is that of a
// step that was taken in SQL.
func (r *Replicated) Wait(ctx context.Context, offset Offset, _ order.ID) error {
	if offset == (Offset{}) {
		return nil
	}
	b := r.join()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.done:
	}
	switch {
	case b.err != nil:
		return b.err
	case b.epoch != offset.Epoch:
		return ErrEpochPassed
	}
	return nil
}

// join returns a round that has not begun.
func (r *Replicated) join() *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	if !r.running {
		r.running = true
		go r.run()
	}
	return r.next
}

// run runs rounds until no caller waits.
func (r *Replicated) run() {
	for {
		r.mu.Lock()
		b := r.next
		r.next, r.running = nil, b != nil
		r.mu.Unlock()
		if b == nil {
			return
		}
		b.epoch, b.err = r.confirm()
		close(b.done)
	}
}

// confirm returns the open epoch, with a journal that a replica has received up to now.
func (r *Replicated) confirm() (epoch int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout) // It is many callers' round.
	defer cancel()
	current, err := r.epochs.Current()
	if err != nil {
		return 0, err
	}
	if current.Mode == ModeSQL {
		return current.Number, nil // It ends the epochs of all that wait.
	}
	replies := r.markAndWait(ctx, current)
	open, err := replies[0].AsInt64()
	if err != nil {
		return 0, redisconn.Unavailable(fmt.Errorf("mark the journal: %w", err))
	}
	if open == 0 {
		r.epochs.RequestCheck()
		return 0, redisconn.Unavailable(errors.New("another epoch is open"))
	}
	n, err := replies[1].AsInt64()
	if err != nil {
		return 0, redisconn.Unavailable(fmt.Errorf("wait for a replica: %w", err))
	}
	if n < wantReplicas {
		return 0, redisconn.Unavailable(ErrNotReplicated)
	}
	return current.Number, nil
}

// markAndWait sends both commands over one connection. The script is sent as a whole: a promoted replica does not know it.
func (r *Replicated) markAndWait(ctx context.Context, epoch Epoch) []rueidis.RedisResult {
	client, release := r.conn.Client().Dedicate()
	defer release()
	return client.DoMulti(ctx,
		client.B().Eval().Script(FenceLua+replicaMarkLua).Numkeys(2).Key(r.keys.Epoch(), r.keys.Replicated()).
			Arg(strconv.FormatInt(epoch.Number, 10), redisconn.ReplicationID(epoch.Instance)).Build(),
		client.B().Wait().Numreplicas(wantReplicas).Timeout(replicaTimeout.Milliseconds()).Build())
}
