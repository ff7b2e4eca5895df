package stock_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// replicated is a shop on a Redis with a replica.
type replicated struct {
	*shop
	*journal.Replicated
	primary, replica rueidis.Client
	server           *realparts.Proc // the replica's
}

func openReplicated(t *testing.T) *replicated {
	t.Helper()
	first, second := realparts.StartRedis(t), realparts.StartRedis(t)
	r := &replicated{primary: admin(t, first.Addr()), replica: admin(t, second.Addr()), server: second}
	replicate(t, r.replica, first.Addr())
	r.shop = openShop(t, redisconn.Config{Addr: first.Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 1000})
	r.Replicated = journal.NewReplicated(r.keys.Keys, r.redis, r.epochs)
	return r
}

// waits counts the WAIT commands that the primary has executed.
func (r *replicated) waits(t *testing.T) int {
	t.Helper()
	_, after, found := strings.Cut(command(t, r.primary, "INFO", "commandstats"), "cmdstat_wait:calls=")
	if !found {
		return 0
	}
	number, _, _ := strings.Cut(after, ",")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReplicated_OneWaitForManyCallers checks that what Wait confirms is in the replica, and that concurrent callers share a WAIT.
func TestReplicated_OneWaitForManyCallers(t *testing.T) {
	r := openReplicated(t)
	const callers = 200
	ready, start := sync.WaitGroup{}, make(chan struct{})
	var done sync.WaitGroup
	for i := range callers {
		ready.Add(1)
		done.Go(func() {
			res, err := r.Reserve(t.Context(), request(strconv.Itoa(i), units("A", 1)))
			ready.Done()
			<-start
			if err == nil {
				err = r.Wait(t.Context(), res.Offset, "")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	if n := length(t, r.replica, r.keys.Journal(1)); n != callers {
		t.Errorf("the replica has %d entries after %d were confirmed", n, callers)
	}
	if n := r.waits(t); n < 1 || n > callers/2 {
		t.Errorf("%d WAITs for %d concurrent callers", n, callers)
	}
}

// TestReplicated_FrozenReplica checks that an entry that no replica confirms is reported as such, that a retry finds it confirmed later, and that
// the commands of others do not wait behind the WAIT.
func TestReplicated_FrozenReplica(t *testing.T) {
	r := openReplicated(t)
	first := r.mustReserve(t, request("k1", units("A", 1)))
	r.server.Pause()
	t.Cleanup(r.server.Resume)
	second := r.mustReserve(t, request("k2", units("A", 1)))
	// If each of them waited for the WAIT, there would be one. On a busy machine there may be few as well, but not each time.
	const attempts, enough = 10, 3
	most := 0
	for attempt := 0; attempt < attempts && most < enough; attempt++ {
		most = max(most, r.reservedDuring(t, second.Offset, "other-"+strconv.Itoa(attempt)))
	}
	if most < enough {
		t.Errorf("%d other orders were reserved during a WAIT; want %d", most, enough)
	}
	r.server.Resume()
	for _, res := range []stock.Reservation{first, second} {
		eventually(t, "the replica to confirm", func() bool { return r.Wait(t.Context(), res.Offset, "") == nil })
	}
}

// reservedDuring waits for an offset that no replica confirms, and returns how many orders were reserved meanwhile, one after the other.
func (r *replicated) reservedDuring(t *testing.T, at journal.Offset, key string) (reserved int) {
	t.Helper()
	waiting := make(chan error, 1)
	go func() { waiting <- r.Wait(t.Context(), at, "") }()
	for {
		select {
		case err := <-waiting:
			if !errors.Is(err, journal.ErrNotReplicated) || !errors.Is(err, order.ErrUnavailable) {
				t.Errorf("while the replica is frozen: %v; want ErrNotReplicated and ErrUnavailable", err)
			}
			return reserved
		case <-time.After(10 * time.Millisecond):
			r.mustReserve(t, request(key+"-"+strconv.Itoa(reserved), units("A", 1)))
			reserved++
		}
	}
}

// TestReplicated_EpochPassed checks that an entry of an epoch that has ended is not confirmed by the next one's journal, and that none is while no
// epoch is open.
func TestReplicated_EpochPassed(t *testing.T) {
	r := openReplicated(t)
	res := r.mustReserve(t, request("k1", units("A", 1)))
	command(t, r.primary, "SET", r.keys.Epoch(), "rebuild:other:1")
	if err := r.Wait(t.Context(), res.Offset, ""); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("while another process opens an epoch: %v; want ErrUnavailable", err)
	}
	command(t, r.primary, "GETDEL", r.keys.Epoch())
	if err := r.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t.Context(), res.Offset, ""); !errors.Is(err, journal.ErrEpochPassed) {
		t.Errorf("in the next epoch: %v; want ErrEpochPassed", err)
	}
}

// TestEpochs_ReplicasAreRequired checks that a Redis which takes writes without a replica is refused, also when its epoch is open.
func TestEpochs_ReplicasAreRequired(t *testing.T) {
	r := openReplicated(t)
	strict := func() *journal.Epochs {
		return journal.NewEpochs(journal.EpochsConfig{Keys: r.keys.Keys, Conn: r.redis, Store: r.sql, Durability: "journal", Replicas: true})
	}
	e := strict()
	if err := e.Check(t.Context()); !errors.Is(err, redisconn.ErrReplicas) {
		t.Errorf("with min-replicas-to-write 0: %v; want ErrReplicas", err)
	}
	if _, err := e.Current(); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("its epoch is usable: %v", err)
	}
	command(t, r.primary, "CONFIG", "SET", "min-replicas-to-write", "1")
	if err := e.Check(t.Context()); err != nil {
		t.Errorf("with min-replicas-to-write 1: %v", err)
	}
	command(t, r.primary, "CONFIG", "SET", "min-replicas-max-lag", "0")
	if err := strict().Check(t.Context()); !errors.Is(err, redisconn.ErrReplicas) || !strings.Contains(err.Error(), "min-replicas-max-lag 10") {
		t.Errorf("with min-replicas-max-lag 0, which switches the other one off: %v; want ErrReplicas", err)
	}
}

// BenchmarkReplicated measures a reservation with each way to wait for a replica.
func BenchmarkReplicated(b *testing.B) {
	first, second := realparts.StartRedis(b), realparts.StartRedis(b)
	other, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{second.Addr()}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(other.Close)
	host, port, _ := strings.Cut(first.Addr(), ":")
	if err := other.Do(b.Context(), other.B().Arbitrary("REPLICAOF", host, port).Build()).Error(); err != nil {
		b.Fatal(err)
	}
	limits := stock.DefaultLimits()
	limits.CustomerOrders, limits.UnpaidTotal, limits.JournalMax = 0, 0, 1e9
	s := openShop(b, redisconn.Config{Addr: first.Addr()}, limits, map[order.SKU]int64{"A": 1e12})
	r := journal.NewReplicated(s.keys.Keys, s.redis, s.epochs)
	c := s.redis.Client()
	for name, wait := range map[string]func(journal.Offset) error{
		"journal": func(journal.Offset) error { return nil },
		"replica": func(at journal.Offset) error { return r.Wait(b.Context(), at, "") },
		"WAIT on the shared connection": func(journal.Offset) error {
			return c.Do(b.Context(), c.B().Arbitrary("WAIT", "1", "1000").Build()).Error()
		},
	} {
		for callers, parallelism := range map[string]int{"alone": 0, "64 callers": 32} {
			b.Run(name+"/"+callers, func(b *testing.B) {
				one := func() {
					res, err := s.Reserve(b.Context(), request(string(order.NewID(0, time.Now())), units("A", 1)))
					if err == nil {
						err = wait(res.Offset)
					}
					if err != nil {
						b.Error(err)
					}
				}
				b.ReportAllocs()
				if parallelism == 0 {
					for b.Loop() {
						one()
					}
					return
				}
				b.SetParallelism(parallelism)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						one()
					}
				})
			})
		}
	}
}
