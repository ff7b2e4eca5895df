package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// maxCachedTokens is the maximum number of tokens that a Tokens caches, of about 200 bytes each.
	maxCachedTokens = 65_536
	// cacheShards is the number of independently locked parts of the cache, so that concurrent calls rarely wait for each other. A shard is
	// chosen by one byte of the token's hash.
	cacheShards = 16
	// maxGeneration is the maximum number of tokens in one of the two generations of a shard.
	maxGeneration = maxCachedTokens / cacheShards / 2
)

// tokenHash is the SHA-256 of a token with its signature. The cache holds hashes, so that no token can be read from it, and so that the
// time of a lookup is independent of the token's text.
type tokenHash [sha256.Size]byte

// usualTokenBytes is the length of the buffer on the stack that a token is hashed in; ours have about 250 bytes.
const usualTokenBytes = 512

func hashOf(token string) tokenHash {
	var buf [usualTokenBytes]byte
	return sha256.Sum256(append(buf[:0], token...))
}

// verifiedToken is what a verified token contains.
type verifiedToken struct {
	caller  Caller
	expires time.Time
	// generation is that of the outside issuer's keys; 0 for our own tokens.
	generation uint64
}

// tokenCache holds the callers of verified tokens. It is safe for concurrent use; its zero value is an empty cache.
type tokenCache struct{ shards [cacheShards]cacheShard }

func (c *tokenCache) get(hash tokenHash) (verifiedToken, bool) { return c.shard(hash).get(hash) }

func (c *tokenCache) put(hash tokenHash, v verifiedToken) { c.shard(hash).put(hash, v) }

func (c *tokenCache) shard(hash tokenHash) *cacheShard { return &c.shards[hash[0]%cacheShards] }

// cacheShard holds a part of the tokens in two generations. Tokens enter the young generation. When it is full, it becomes the old one, and
// the tokens that were in the old one are dropped, unless they were used since and have moved to the young one.
type cacheShard struct {
	mu         sync.RWMutex
	young, old map[tokenHash]verifiedToken
}

func (s *cacheShard) get(hash tokenHash) (verifiedToken, bool) {
	s.mu.RLock()
	v, young := s.young[hash]
	old := false
	if !young {
		v, old = s.old[hash]
	}
	s.mu.RUnlock()
	if old {
		s.put(hash, v)
	}
	return v, young || old
}

func (s *cacheShard) put(hash tokenHash, v verifiedToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= maxGeneration {
		s.young, s.old = nil, s.young
	}
	if s.young == nil {
		s.young = make(map[tokenHash]verifiedToken)
	}
	delete(s.old, hash)
	s.young[hash] = v
}
