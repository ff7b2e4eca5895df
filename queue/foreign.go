package queue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	scope = "github.com/spillway/spillway/queue"
	// foreignLogInterval is the time between two log lines about the messages of one shop: a topic may hold thousands of them.
	foreignLogInterval = time.Minute
	// foreignShopsMax bounds the shops that are logged apart; others share one line. Whoever can send can make up identities.
	foreignShopsMax = 16
	// foreignNameMax is how much of an identity is logged, in bytes; ours have 26.
	foreignNameMax = 64
)

// The names in the log of what has no identity of its own there.
const (
	shopUnnamed = "(none)"
	shopOthers  = "(others)"
)

// foreign reports messages of other shops. It is safe for concurrent use.
type foreign struct {
	shop    string
	counter metric.Int64Counter
	log     *slog.Logger
	now     func() time.Time

	mu   sync.Mutex
	seen map[string]*sighting
}

// sighting is what was seen of one shop since it was logged last.
type sighting struct {
	loggedAt time.Time
	messages int
}

func newForeign(shop string, log *slog.Logger, now func() time.Time) (*foreign, error) {
	counter, err := otel.Meter(scope).Int64Counter("spillway.queue.foreign_messages", metric.WithUnit("{messages}"),
		metric.WithDescription("Messages of other shops on this shop's topic, or without a shop, that were acknowledged and not used."))
	if err != nil {
		return nil, fmt.Errorf("spillway.queue.foreign_messages: %w", err)
	}
	return &foreign{shop: shop, counter: counter, log: log, now: now, seen: make(map[string]*sighting)}, nil
}

// report counts the messages, and logs each shop of them at most once in foreignLogInterval.
func (f *foreign) report(ctx context.Context, topic, group string, messages []Message) {
	f.counter.Add(ctx, int64(len(messages)), metric.WithAttributes(attribute.String("group", group)))
	byShop := make(map[string]int)
	for _, m := range messages {
		byShop[m.Headers[ShopHeader]]++
	}
	for shop, n := range byShop {
		if total, name, due := f.note(shop, n); due {
			f.log.WarnContext(ctx, "messages of another shop are on this shop's topic and were not used; give each shop its own --topic",
				"topic", topic, "group", group, "foreign_shop", name, "shop", f.shop, "messages", total)
		}
	}
}

// note adds up what was seen of a shop, and returns the sum and the shop's name in the log when a line is due.
func (f *foreign) note(shop string, n int) (total int, name string, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = shop[:min(len(shop), foreignNameMax)]
	if name == "" {
		name = shopUnnamed
	}
	s := f.seen[name]
	if s == nil && len(f.seen) >= foreignShopsMax {
		name = shopOthers
		s = f.seen[name]
	}
	if s == nil {
		s = &sighting{}
		f.seen[name] = s
	}
	s.messages += n
	if !s.loggedAt.IsZero() && f.now().Sub(s.loggedAt) < foreignLogInterval {
		return 0, name, false
	}
	total, s.messages, s.loggedAt = s.messages, 0, f.now()
	return total, name, true
}
