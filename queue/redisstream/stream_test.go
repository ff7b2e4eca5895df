package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/redisstream"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// shortLease is for messages that a test wants again, and longLease does not expire during any test.
	shortLease, longLease = time.Second, time.Hour
	// waitMax bounds every wait for something that takes moments on a healthy Redis.
	waitMax = time.Minute
)

// onBoth runs a test on a real Redis and on miniredis.
func onBoth(t *testing.T, test func(t *testing.T, client rueidis.Client)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) { test(t, connect(t, realparts.StartRedis(t).Addr())) })
	t.Run("miniredis", func(t *testing.T) { test(t, connect(t, miniredis.RunT(t).Addr())) })
}

func closeBroker(t *testing.T, b *redisstream.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// ends returns a producer, and a consumer of each group, of topic "t".
func ends(t *testing.T, client rueidis.Client, maxMessages int64, groups ...string) (queue.Producer, []queue.Consumer) {
	t.Helper()
	b := open(t, client, redisstream.Config{
		Topics: map[string][]string{"t": groups}, MaxMessages: maxMessages, Key: func(topic string) string { return "stream:" + topic },
	})
	t.Cleanup(func() { closeBroker(t, b) })
	p, err := b.Producer()
	if err != nil {
		t.Fatalf("make a producer: %v", err)
	}
	var consumers []queue.Consumer
	for _, g := range groups {
		c, err := b.Consumer("t", g)
		if err != nil {
			t.Fatalf("make a consumer: %v", err)
		}
		consumers = append(consumers, c)
	}
	return p, consumers
}

// send sends n messages of 5 kB: larger than a node of a stream, so that each can be trimmed by itself.
func send(t *testing.T, p queue.Producer, n int) {
	t.Helper()
	messages := make([]queue.Outgoing, n)
	for i := range messages {
		messages[i].Body = []byte(fmt.Sprintf("%d %s", i, strings.Repeat("x", 5000)))
	}
	if err := p.Send(t.Context(), "t", messages...); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func receive(t *testing.T, c queue.Consumer, n int) []queue.Message {
	t.Helper()
	return receiveFor(t, c, n, longLease)
}

func receiveFor(t *testing.T, c queue.Consumer, n int, lease time.Duration) []queue.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitMax)
	defer cancel()
	var out []queue.Message
	for len(out) < n {
		got, err := c.Receive(ctx, n-len(out), lease)
		if err != nil {
			t.Fatalf("receive: %v; %d of %d messages came", err, len(out), n)
		}
		out = append(out, got...)
	}
	return out
}

func ack(t *testing.T, c queue.Consumer, messages ...queue.Message) {
	t.Helper()
	if err := c.Ack(t.Context(), messages...); err != nil {
		t.Fatalf("acknowledge: %v", err)
	}
}

func length(t *testing.T, client rueidis.Client) int64 {
	t.Helper()
	n, err := client.Do(t.Context(), client.B().Xlen().Key("stream:t").Build()).AsInt64()
	if err != nil {
		t.Fatalf("XLEN: %v", err)
	}
	return n
}

// wantLength polls the consumers, because they trim, until the stream has the length.
func wantLength(t *testing.T, client rueidis.Client, want int64, consumers ...queue.Consumer) {
	t.Helper()
	deadline := time.Now().Add(waitMax)
	for length(t, client) != want {
		if time.Now().After(deadline) {
			t.Fatalf("the stream has %d entries, want %d", length(t, client), want)
		}
		poll(t, consumers...)
	}
	// It stays at this length.
	poll(t, consumers...)
	poll(t, consumers...)
	if got := length(t, client); got != want {
		t.Fatalf("the stream has %d entries, want %d", got, want)
	}
}

// poll lets the consumers trim. Their lease is long, so that they claim nothing.
func poll(t *testing.T, consumers ...queue.Consumer) {
	t.Helper()
	for _, c := range consumers {
		got, err := c.Receive(t.Context(), 1, longLease)
		if err != nil || len(got) > 0 {
			t.Fatalf("receive: %d messages, %v; want none", len(got), err)
		}
	}
}

func TestTrim_StaysBehindSlowestGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, client rueidis.Client) {
		p, c := ends(t, client, 0, "fast", "slow")
		send(t, p, 20)
		ack(t, c[0], receive(t, c[0], 20)...)
		// The group "slow" does not exist yet.
		wantLength(t, client, 20, c[0])
		slow := receive(t, c[1], 20)
		// All are delivered; the first one is still leased, so it and all entries behind it stay.
		ack(t, c[1], slow[1:]...)
		wantLength(t, client, 20, c[0], c[1])
		ack(t, c[1], slow[0])
		// The last delivered entry stays, because the trim keeps the last delivered id.
		wantLength(t, client, 1, c[0], c[1])
		send(t, p, 3)
		ack(t, c[0], receive(t, c[0], 3)...)
		slow = receive(t, c[1], 3)
		ack(t, c[1], slow[0], slow[2])
		wantLength(t, client, 2, c[0], c[1])
		again := receiveFor(t, c[1], 1, shortLease)
		if again[0].ID != slow[1].ID || again[0].Attempt != 2 {
			t.Errorf("message %s attempt %d came, want %s attempt 2", again[0].ID, again[0].Attempt, slow[1].ID)
		}
	})
}

func TestProducer_FullTopic(t *testing.T) {
	onBoth(t, func(t *testing.T, client rueidis.Client) {
		p, c := ends(t, client, 10, "g")
		send(t, p, 10)
		if err := p.Send(t.Context(), "t", queue.Outgoing{Body: []byte("x")}); !errors.Is(err, queue.ErrFull) {
			t.Fatalf("send to a full topic: %v, want %v", err, queue.ErrFull)
		}
		ack(t, c[0], receive(t, c[0], 10)...)
		wantLength(t, client, 1, c[0])
		send(t, p, 1)
		receive(t, c[0], 1)
	})
}

func TestBroker_FlushAll(t *testing.T) {
	onBoth(t, func(t *testing.T, client rueidis.Client) {
		p, c := ends(t, client, 0, "g")
		send(t, p, 2)
		held := receive(t, c[0], 2)
		if err := client.Do(t.Context(), client.B().Flushall().Build()).Error(); err != nil {
			t.Fatalf("FLUSHALL: %v", err)
		}
		send(t, p, 3)
		ack(t, c[0], held...)
		got := receive(t, c[0], 3)
		for i, m := range got {
			if !strings.HasPrefix(string(m.Body), fmt.Sprint(i)) || m.Attempt != 1 {
				t.Errorf("message %d is %.10q, attempt %d", i, m.Body, m.Attempt)
			}
		}
	})
}

// TestBroker_ManyExpiredLeases has more of them than one scan covers, behind entries with valid leases.
func TestBroker_ManyExpiredLeases(t *testing.T) {
	onBoth(t, func(t *testing.T, client rueidis.Client) {
		const n = 500
		p, c := ends(t, client, 0, "g")
		send(t, p, n)
		first := receive(t, c[0], n)
		if err := c[0].Release(t.Context(), first[n/2:]...); err != nil {
			t.Fatalf("release: %v", err)
		}
		seen := make(map[string]bool)
		ctx, cancel := context.WithTimeout(t.Context(), waitMax)
		defer cancel()
		for len(seen) < n/2 {
			got, err := c[0].Receive(ctx, 7, longLease)
			if err != nil {
				t.Fatalf("receive: %v; %d of %d messages came again", err, len(seen), n/2)
			}
			for _, m := range got {
				if seen[m.ID] || m.Attempt != 2 {
					t.Fatalf("message %s came again, attempt %d", m.ID, m.Attempt)
				}
				seen[m.ID] = true
			}
		}
	})
}

// TestConsumer_ReceivesWhatItReleased at once, also if its scan for expired leases was beyond it: a worker that empties the queue ends at a Receive of none.
func TestConsumer_ReceivesWhatItReleased(t *testing.T) {
	onBoth(t, func(t *testing.T, client rueidis.Client) {
		p, c := ends(t, client, 0, "g")
		send(t, p, 2)
		first := receive(t, c[0], 2)[:1]
		for attempt := 2; attempt < 5; attempt++ {
			if err := c[0].Release(t.Context(), first...); err != nil {
				t.Fatalf("release: %v", err)
			}
			got, err := c[0].Receive(t.Context(), 1, longLease)
			if err != nil || len(got) != 1 || got[0].ID != first[0].ID || got[0].Attempt != attempt {
				t.Fatalf("received %v, %v; want %s for the %d. time", got, err, first[0].ID, attempt)
			}
			first = got
		}
	})
}

func TestNew_InvalidConfig(t *testing.T) {
	client := connect(t, miniredis.RunT(t).Addr())
	for name, cfg := range map[string]redisstream.Config{
		"no topic":         {},
		"no group":         {Topics: map[string][]string{"t": nil}},
		"a bad topic":      {Topics: map[string][]string{"t t": {"g"}}},
		"a bad group":      {Topics: map[string][]string{"t": {"g", ""}}},
		"a negative bound": {Topics: map[string][]string{"t": {"g"}}, MaxMessages: -1},
	} {
		if _, err := redisstream.New(client, cfg); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, queue.ErrInvalid)
		}
	}
	b := open(t, client, redisstream.Config{Topics: map[string][]string{"t": {"g"}}})
	defer closeBroker(t, b)
	if _, err := b.Consumer("t", "other"); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("a group that is not declared: %v, want %v", err, queue.ErrInvalid)
	}
	p, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), "other", queue.Outgoing{Body: []byte("x")}); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("a topic that is not declared: %v, want %v", err, queue.ErrInvalid)
	}
}
