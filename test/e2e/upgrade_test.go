package e2e

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

const (
	// oldBinaryVariable names the program of an older version. Without it, the old processes run this version too: what then differs between old and
	// new is tested where it is read and written (journal, wire, store), because no older version can be built without the history of the repository.
	oldBinaryVariable = "SPILLWAY_TEST_OLD_BINARY"
	// upgradeBuyers order at the same time, each with upgradePause after an order, so that two cores have room for six processes.
	upgradeBuyers = 8
	upgradePause  = 20 * time.Millisecond
	upgradeUnits  = 1_000_000
	// ordersPerStep is how many orders are paid between two replacements: both versions take and work off some.
	ordersPerStep = 25
)

// upgrade is a shop of two processes of the API and two with workers, which are replaced one at a time.
type upgrade struct {
	*fight
	t         *testing.T
	processes *processes
	// calls counts the calls of the buyers by what became of them.
	mu    sync.Mutex
	calls map[string]int
}

// TestUpgrade_OneProcessAtATime replaces each process of an old version by one of the new version under load, by SIGTERM, after the new version and one
// after it have migrated the database; then it goes back, on the new tables, and forward again. No order is lost, no call fails that a retry does not
// complete, and the books close.
func TestUpgrade_OneProcessAtATime(t *testing.T) {
	t.Parallel()
	old := cmp.Or(os.Getenv(oldBinaryVariable), binary)
	u := openUpgrade(t, old)
	names := []string{"work-1", "serve-1", "work-2", "serve-2"}
	u.run(func() {
		defer u.stop()
		u.more("the start")
		migratedBy(t, binary, u.dsn)
		u.more("the migration")
		u.migrateAhead()
		u.more("the migration of a version after")
		for _, step := range []struct{ name, program string }{{"upgrade", binary}, {"rollback", old}, {"upgrade again", binary}} {
			for _, name := range names {
				u.replace(name, step.program)
				u.more(fmt.Sprintf("%s of %s", step.name, name))
			}
			slices.Reverse(names) // A rollback begins with what was replaced last.
		}
	})
	u.nothingLost()
	if u.unknown > 0 || u.soldOut > 0 {
		t.Errorf("%d orders got no outcome, %d were refused", u.unknown, u.soldOut)
	}
	t.Logf("%d orders were paid; calls: %v", len(u.paid), u.calls)
	for what, n := range u.calls {
		if what != callAnswered && what != callRefused && what != callRetried {
			t.Errorf("%d calls: %s", n, what)
		}
	}
	if a := u.audit("--drained", "--wait", auditWait); a.status != 0 {
		t.Errorf("the audit: %+v", a)
	}
}

// What becomes of a call while a process is replaced. Any other end is a call that was cut off.
const (
	callAnswered = "answered"
	callRefused  = "connection refused, as no process listens"
	callRetried  = "answered with a retry hint"
)

// openUpgrade starts the four processes of the old version on tables of the old version.
func openUpgrade(t *testing.T, old string) *upgrade {
	t.Helper()
	dsn := realparts.MySQL(t)
	migratedBy(t, old, dsn)
	p := &processes{t: t, dsn: dsn, program: old, all: map[string]*shop{}, common: []string{
		"--mysql", dsn, "--redis", realparts.StartRedis(t).Addr(), "--redis-namespace", "e2e-" + rand.Text(), "--durability", "journal",
		"--simulate-provider-file", filepath.Join(t.TempDir(), "provider.db"),
	}}
	for _, name := range []string{"serve-1", "serve-2"} {
		p.add(name, "serve", "--session-rate", "0", "--units-window", "0s", "--unpaid-orders", "0", "--unpaid-share", "0", "--unpaid-total", "0",
			"--customer-orders", "0") // Those that older versions know, too.
	}
	for _, name := range []string{"work-1", "work-2"} {
		p.add(name, "work", "--lost-after", "2s", "--repair-after", "5s")
	}
	first := p.all["serve-1"]
	u := &upgrade{t: t, processes: p, fight: newFight(first), calls: map[string]int{}}
	u.doors = []*shop{first, p.all["serve-2"]}
	u.sku, u.units, u.tries, u.buyers, u.pause, u.observe = u.product(upgradeUnits), upgradeUnits, 1<<30, upgradeBuyers, upgradePause, u.count
	return u
}

// migratedBy applies the migrations of the program's version.
func migratedBy(t testing.TB, program, dsn string) {
	t.Helper()
	for _, args := range [][]string{{"migrate", "up"}, {"seed"}} {
		var out []byte
		err := errors.New("not tried")
		for try := 0; err != nil && try < migrateTries; try++ {
			out, err = command(t, program, append(args, "--mysql", dsn)...).CombinedOutput()
		}
		if err != nil {
			t.Fatalf("spillway %v: %v\n%s", args, err, out)
		}
	}
}

// migrateAhead does what a migration of the version after this one may do while this one runs: each table gets a column with a default. It is recorded
// as a migration that this version does not have.
func (u *upgrade) migrateAhead() {
	u.t.Helper()
	db := openMySQL(u.t, u.dsn)
	rows, err := db.QueryContext(
		u.t.Context(),
		"SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> 'schema_revisions'",
	)
	if err != nil {
		u.t.Fatal(err)
	}
	defer rows.Close()
	statements := []string{"INSERT INTO schema_revisions (version, description, type, applied, total, executed_at, execution_ns, error, error_stmt, hash, " +
		"partial_hashes, operator_version) SELECT '29990101000000', 'later', type, applied, total, executed_at, execution_ns, error, error_stmt, hash, " +
		"partial_hashes, operator_version FROM schema_revisions LIMIT 1"}
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			u.t.Fatal(err)
		}
		statements = append(statements, "ALTER TABLE `"+table+"` ADD COLUMN later_version INT NOT NULL DEFAULT 0")
	}
	if err := rows.Err(); err != nil {
		u.t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(u.t.Context(), statement); err != nil {
			u.t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, program := range []string{binary, cmp.Or(u.processes.program, binary)} { // A rollback runs the job of the previous version again.
		migratedBy(u.t, program, u.dsn)
	}
}

// replace ends the process as Kubernetes and systemd do, and starts one of the other version in its place.
func (u *upgrade) replace(name, program string) {
	u.t.Helper()
	s := u.processes.all[name]
	if err := s.stop(); err != nil {
		u.t.Fatalf("%s ended with %v", name, err)
	}
	s.program = program
	s.start()
}

// more returns once more orders were paid.
func (u *upgrade) more(after string) {
	u.t.Helper()
	before := len(u.paidNow())
	u.eventually(giveUp, "orders after "+after, func() bool { return len(u.paidNow()) >= before+ordersPerStep || u.t.Failed() })
}

// count counts a call.
func (u *upgrade) count(r reply, err error, _ time.Duration) {
	what := callAnswered
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		what = callRefused
	case err != nil:
		what = err.Error()
	case r.Code == "unavailable" || r.Code == "resource_exhausted":
		what = callRetried
	case r.Code != "":
		what = r.Raw
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls[what]++
}
