package server

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// buckets are token buckets by key, such as an address. They are safe for concurrent use.
type buckets[K comparable] struct {
	perMinute, max int

	mu     sync.Mutex
	byKey  map[K]*list.Element
	recent *list.List // of *bucket[K], the one used last in front
}

// bucket holds the tokens of one key: at most those of a minute.
type bucket[K comparable] struct {
	key    K
	tokens *rate.Limiter
}

// newBuckets makes buckets that gain perMinute tokens a minute each. At most so many keys are remembered, of about 300 bytes each; beyond it the
// one that was used longest ago is forgotten.
func newBuckets[K comparable](perMinute, most int) *buckets[K] {
	return &buckets[K]{perMinute: perMinute, max: most, byKey: make(map[K]*list.Element), recent: list.New()}
}

// take takes a token of the key. Without one, it returns after how long there is one.
func (b *buckets[K]) take(key K, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.of(key)
	if k.tokens.AllowN(now, 1) {
		return 0
	}
	return k.wait(now)
}

// wait returns after how long the key has a token, and takes none. 0 is now.
func (b *buckets[K]) wait(key K, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.byKey[key]
	if !ok {
		return 0
	}
	return e.Value.(*bucket[K]).wait(now) //nolint:forcetypeassert,errcheck // of pushed it.
}

// wait returns after how long there is a token.
func (k *bucket[K]) wait(now time.Time) time.Duration {
	missing := 1 - k.tokens.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return max(time.Duration(missing/float64(k.tokens.Limit())*float64(time.Second)), time.Millisecond)
}

// of finds or makes the bucket of the key, and forgets the oldest when there are too many.
func (b *buckets[K]) of(key K) *bucket[K] {
	if e, ok := b.byKey[key]; ok {
		b.recent.MoveToFront(e)
		return e.Value.(*bucket[K]) //nolint:forcetypeassert,errcheck // of pushed it.
	}
	if b.recent.Len() >= b.max {
		oldest := b.recent.Back()
		delete(b.byKey, b.recent.Remove(oldest).(*bucket[K]).key) //nolint:forcetypeassert,errcheck // of pushed it.
	}
	perSecond := rate.Limit(float64(b.perMinute) / time.Minute.Seconds())
	k := &bucket[K]{key: key, tokens: rate.NewLimiter(perSecond, b.perMinute)}
	b.byKey[key] = b.recent.PushFront(k)
	return k
}
