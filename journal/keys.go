package journal

import (
	"strconv"
	"strings"
)

// Keys names what one partition keeps in Redis. Each name carries the hash tag {NAMESPACE:pN}, so that all keys of a partition live in
// one slot of a Redis Cluster and one script may use them. Those below belong to the journal; package stock adds its own (stock/keys.go).
//
//	name            type    TTL, or removed                               holds
//	epoch           string  none                                          number of the open epoch; missing means wiped
//	journals        zset    none                                          epochs with a journal that is not relayed to its end
//	journal:EPOCH   stream  once relayed; trimmed behind the relay        what happened: see Entry
//	trimmed:EPOCH   string  with its journal                              id of the last entry that was trimmed away
//	sent:EPOCH      string  with its journal                              the highest id that the relay has sent: SQL has applied it
//	again:EPOCH     string  with its journal                              the highest id that had been sent when SQL lost commits
//	stock:EPOCH     hash    when the next epoch opens                     SKU → units left (written by package stock)
//	replicated      string  none                                          an epoch's number; written before a WAIT, and not read
//	changes         stream  none; trimmed to about maxChanges entries     orders that SQL decided about: see Change
type Keys struct {
	// Namespace separates several shops on one Redis; "spillway" by default.
	Namespace string
	// Partition is 0 until there are several.
	Partition uint8
}

// Name is the partition's hash tag and the parts of the rest of a key, in one allocation.
func (k Keys) Name(parts ...string) string {
	partition := strconv.Itoa(int(k.Partition))
	size := len(tagBegin) + len(k.Namespace) + len(tagPartition) + len(partition) + len(tagEnd)
	for _, part := range parts {
		size += len(part)
	}
	var b strings.Builder
	b.Grow(size)
	for _, part := range [...]string{tagBegin, k.Namespace, tagPartition, partition, tagEnd} {
		b.WriteString(part)
	}
	for _, part := range parts {
		b.WriteString(part)
	}
	return b.String()
}

// A hash tag is {NAMESPACE:pN}, followed by a colon.
const (
	tagBegin     = "{"
	tagPartition = ":p"
	tagEnd       = "}:"
)

// Epoch is the key of the open epoch's number.
func (k Keys) Epoch() string { return k.Name("epoch") }

// Journals is the key of the set of journals that are not relayed to their end.
func (k Keys) Journals() string { return k.Name("journals") }

// Journal is the key of an epoch's stream.
func (k Keys) Journal(epoch int64) string { return k.Name("journal:", strconv.FormatInt(epoch, 10)) }

// Trimmed is the key of the id of the last entry that was trimmed away from an epoch's stream.
func (k Keys) Trimmed(epoch int64) string { return k.Name("trimmed:", strconv.FormatInt(epoch, 10)) }

// Sent is the key of the highest id of an epoch's stream that the relay has sent.
func (k Keys) Sent(epoch int64) string { return k.Name("sent:", strconv.FormatInt(epoch, 10)) }

// Again is the key of the highest id of an epoch's stream that had been sent when SQL lost commits.
func (k Keys) Again(epoch int64) string { return k.Name("again:", strconv.FormatInt(epoch, 10)) }

// Stock is the key of an epoch's counters.
func (k Keys) Stock(epoch int64) string { return k.Name("stock:", strconv.FormatInt(epoch, 10)) }

// Replicated is the key that is written before a WAIT.
func (k Keys) Replicated() string { return k.Name("replicated") }

// Changes is the key of the stream of what SQL decided.
func (k Keys) Changes() string { return k.Name("changes") }
