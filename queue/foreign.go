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

	"github.com/spillway/spillway/throttle"
)

const (
	scope = "github.com/spillway/spillway/queue"
	// foreignLogInterval is the time between two log lines about one foreign shop, because a topic may hold thousands
	// of its messages.
	foreignLogInterval = time.Minute
	// maxForeignShops is the number of shops with log lines of their own. The others share one, because any sender can
	// invent identities.
	maxForeignShops = 16
	// maxForeignNameBytes is the length to which a logged identity is truncated; ours have 26 bytes.
	maxForeignNameBytes = 64
)

// Names in the log for messages without an identity, and for shops above maxForeignShops.
const (
	shopUnnamed = "(none)"
	shopOthers  = "(others)"
)

// foreign counts and logs messages of other shops. It is safe for concurrent use.
type foreign struct {
	shop    string
	counter metric.Int64Counter
	log     *slog.Logger
	now     func() time.Time

	mu   sync.Mutex
	seen map[string]*sighting
}

// sighting is the number of messages of one shop since its last log line.
type sighting struct {
	logged   throttle.Interval
	messages int
}

func newForeign(shop string, log *slog.Logger, now func() time.Time) (*foreign, error) {
	counter, err := otel.Meter(scope).Int64Counter("spillway.queue.foreign_messages", metric.WithUnit("{messages}"),
		metric.WithDescription("Messages of other shops, or without a shop, on this shop's topic. They are acknowledged and not used."))
	if err != nil {
		return nil, fmt.Errorf("spillway.queue.foreign_messages: %w", err)
	}
	return &foreign{shop: shop, counter: counter, log: log, now: now, seen: make(map[string]*sighting)}, nil
}

// report counts the messages and logs each of their shops at most once per foreignLogInterval.
func (f *foreign) report(ctx context.Context, topic, group string, messages []Message) {
	f.counter.Add(ctx, int64(len(messages)), metric.WithAttributes(attribute.String("group", group)))
	byShop := make(map[string]int)
	for _, m := range messages {
		byShop[m.Headers[ShopHeader]]++
	}
	for shop, n := range byShop {
		if total, name, due := f.note(shop, n); due {
			f.log.WarnContext(ctx, "acknowledged messages of another shop on this shop's topic; set a different --topic for each shop",
				"topic", topic, "group", group, "foreign_shop", name, "shop", f.shop, "messages", total)
		}
	}
}

// note adds n messages to a shop's count. When a log line is due it returns the count and the name for the log.
func (f *foreign) note(shop string, n int) (total int, name string, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = shop[:min(len(shop), maxForeignNameBytes)]
	if name == "" {
		name = shopUnnamed
	}
	s := f.seen[name]
	if s == nil && len(f.seen) >= maxForeignShops {
		name = shopOthers
		s = f.seen[name]
	}
	if s == nil {
		s = &sighting{}
		f.seen[name] = s
	}
	s.messages += n
	if !s.logged.Due(f.now(), foreignLogInterval) {
		return 0, name, false
	}
	total, s.messages = s.messages, 0
	return total, name, true
}
