package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// binary is built once. It has no race detector: RocketMQ's client in it has races of its own, and the machine has enough to do.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "spillway-chaos-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		// The driver logs each dead connection of the pool, which this test causes on purpose.
		_ = mysql.SetLogger(&mysql.NopLogger{})
		binary = filepath.Join(dir, "spillway")
		if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/spillway").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build spillway: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

const (
	// shortRounds: one with each durability, so that each part is killed twice.
	shortRounds = 2
	// shortFreeze is longer than a call to Redis may take, so that its breaker opens.
	shortFreeze = 2 * time.Second
	// longFreeze is longer than any call to a part may take.
	longFreeze = 20 * time.Second
)

// settings are what a run does.
type settings struct {
	// first is the number of the first round, from 1, and rounds that of the last one.
	first, rounds int

	short  bool
	parts  []string // and scenarios; none means all, or in a short round all parts
	only   []string // the moves; none means all, or in a short round those that lose nothing
	freeze time.Duration
	seed   uint64
	// durabilities take turns from round to round.
	durabilities []string
}

func readSettings(t *testing.T) settings {
	t.Helper()
	s := settings{first: 1, rounds: shortRounds, short: true, freeze: shortFreeze, seed: uint64(time.Now().UnixNano()), durabilities: durabilities}
	number := func(name string, bits int) (uint64, bool) {
		text := os.Getenv(name)
		if text == "" {
			return 0, false
		}
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			t.Fatalf("%s=%q: must be a number", name, text)
		}
		return n, true
	}
	if n, ok := number("SPILLWAY_CHAOS_ROUNDS", 16); ok {
		s.rounds, s.short, s.freeze = int(n), false, longFreeze
	}
	if n, ok := number("SPILLWAY_CHAOS_FIRST", 16); ok {
		s.first = int(n)
	}
	if n, ok := number("SPILLWAY_CHAOS_SEED", 64); ok {
		s.seed = n
	}
	if text := os.Getenv("SPILLWAY_CHAOS_FREEZE"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			t.Fatalf("SPILLWAY_CHAOS_FREEZE=%q: must be a duration, such as 20s", text)
		}
		s.freeze = d
	}
	if chosen := list("SPILLWAY_CHAOS_DURABILITY"); len(chosen) > 0 {
		s.durabilities = chosen
	}
	for _, d := range s.durabilities {
		if !slices.Contains(durabilities, d) {
			t.Fatalf("SPILLWAY_CHAOS_DURABILITY: there is no durability %q; there are %v", d, durabilities)
		}
	}
	if s.first < 1 || s.first > s.rounds {
		t.Fatalf("SPILLWAY_CHAOS_FIRST=%d: must be 1 to the number of rounds, %d", s.first, s.rounds)
	}
	s.parts, s.only = list("SPILLWAY_CHAOS_PARTS"), list("SPILLWAY_CHAOS_MOVES")
	for _, m := range s.only {
		if !slices.Contains(knownMoves(), m) {
			t.Fatalf("SPILLWAY_CHAOS_MOVES: there is no move %q; there are %v", m, knownMoves())
		}
	}
	return s
}

// list reads words between commas or spaces.
func list(variable string) []string {
	return strings.FieldsFunc(os.Getenv(variable), func(r rune) bool { return r == ',' || r == ' ' })
}

// TestChaos: whatever part dies or freezes, no acknowledged order is lost, none is charged twice or for nothing, and
// nothing is sold twice (I1, I4, I5, I9, I16).
func TestChaos(t *testing.T) {
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := readSettings(t)
	t.Logf("SPILLWAY_CHAOS_SEED=%d", s.seed)
	h := newHarness(ctx, t)
	parts := h.chosen(s)
	for n := s.first; n <= s.rounds; n++ {
		r := &round{harness: h, number: n, settings: s, parts: parts, rng: rand.New(rand.NewPCG(s.seed, uint64(n)))}
		r.run()
	}
	h.noWorkerRestarts()
}

// The durabilities. With journal alone, Redis may lose what was acknowledged.
const (
	journalOnly = "journal"
	sqlToo      = "sql"
	replica     = "replica"
)

var durabilities = []string{journalOnly, sqlToo, replica}

// round is each part in trouble once, then the drain, then the checks.
type round struct {
	*harness
	settings
	number int
	parts  []string // and scenarios
	rng    *rand.Rand
	market *market
	moves  map[string][]move // of each part and scenario in this round

	durability string
	redisKind  redisKind
	crowd      *crowd // nil without overload
}

func (r *round) run() {
	r.durability = r.durabilities[(r.number-1)%len(r.durabilities)]
	r.redisKind = r.kindOfRedis()
	r.openRedis()
	defer r.closeRedis()
	r.moves = map[string][]move{}
	for _, name := range r.parts {
		r.moves[name] = r.movesOf(name)
	}
	defects := r.defects()
	r.logf("round %d of %d: durability %s, %s %s", r.number, r.rounds, r.durability, r.redisKind, strings.Join(defects, " "))
	r.openShop(r.durability, slices.Concat(defects, r.moveEnv()))
	r.market = newMarket(r.harness, r.number, r.seed, r.durability)
	buying, stop := context.WithCancel(r.ctx)
	defer stop()
	var buyers sync.WaitGroup
	r.market.open(buying, &buyers)
	r.market.flow("at the beginning")
	var besides sync.WaitGroup
	for _, name := range r.order() {
		for _, m := range r.moves[name] {
			r.trouble(name, m)
		}
		if s, ok := scenarioOf(name); ok && s.beside != nil {
			besides.Go(func() { s.beside(buying, r) })
		}
	}
	if len(defects) > 0 {
		r.pause(defectTime)
	}
	stop()
	besides.Wait()
	r.market.allUp()
	buyers.Wait()
	if r.crowd != nil {
		r.crowd.retrying.Wait()
	}
	r.logf("the market is closed: %s", r.market.summary())
	r.verify(r.market)
	r.closeShop()
}

// order is the parts in a random order. A short round begins with those that keep messages to themselves when they die, so that their
// leases end while the others have their turn.
func (r *round) order() []string {
	parts := slices.Clone(r.parts)
	r.rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	if r.short {
		slices.SortStableFunc(parts, func(a, b string) int { return leases(a) - leases(b) })
	}
	slices.SortStableFunc(parts, func(a, b string) int { return place(a) - place(b) })
	return parts
}

// place orders the scenarios that must come first before all others.
func place(name string) int {
	scenarios := allScenarios()
	if i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name && s.first }); i >= 0 {
		return i
	}
	return len(scenarios)
}

// has reports whether the part or scenario is in trouble in this round.
func (r *round) has(name string) bool { return slices.Contains(r.parts, name) }

func leases(part string) int {
	switch part {
	case "order-relay", "order-writer", "shipper", "mailer", "mail-dispatcher", partBroker, partProxy:
		return 0
	}
	return 1
}

// trouble makes some and waits until orders are taken again.
func (r *round) trouble(name string, m move) {
	r.pause(upTo(r.rng, r.atMost(breathMax)))
	began := time.Now()
	m.do(r)
	r.logf("%s %s for %s; %s", name, m.name, time.Since(began).Round(time.Millisecond), r.market.summary())
	r.market.flow(fmt.Sprintf("after %s was %s", name, m.name))
}

// upTo is a random duration.
func upTo(rng *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(limit)))
}
