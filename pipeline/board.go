package pipeline

import (
	"context"
	_ "embed" // The script is part of the program.
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/redisconn"
)

const (
	// maxProcesses bounds the processes on the board: its hash then holds some 200 kB.
	maxProcesses = 64
	// keptFor is how long the report of a process is shown that does not publish any more.
	keptFor = 15 * time.Second
	// freshFor is the age up to which a process counts as running: it misses two reports.
	freshFor = 3500 * time.Millisecond
	// maxReportBytes bounds a report: one of all stages has about 3 kB.
	maxReportBytes = 32 << 10
)

//go:embed lua/publish.lua
var publishLua string

// Breaker guards the calls of Redis, and bounds them.
type Breaker interface {
	breaker.Breaker
	// Timeout bounds one call.
	Timeout() time.Duration
}

// Board is where processes publish their reports. Its keys in Redis have one hash tag:
//
//	name                     type  TTL       holds
//	{NAMESPACE:board}:reports  hash  keptFor   process id → Report as JSON
//	{NAMESPACE:board}:seen     zset  keptFor   process id → when it published last, in ms by the clock of Redis
//
// It is safe for concurrent use.
type Board struct {
	conn          *redisconn.Conn
	breaker       Breaker
	reports, seen string
	script        *rueidis.Lua
}

// NewBoard makes the board of a shop.
func NewBoard(namespace string, conn *redisconn.Conn, b Breaker) *Board {
	tag := "{" + namespace + ":board}:"
	return &Board{conn: conn, breaker: b, reports: tag + "reports", seen: tag + "seen", script: rueidis.NewLuaScriptRetryable(publishLua)}
}

// Publish replaces the report of the process. It fails if the board is full.
func (b *Board) Publish(ctx context.Context, r Report) error {
	text, err := json.Marshal(r)
	if err != nil || len(text) > maxReportBytes {
		return fmt.Errorf("a report of %d bytes: %w", len(text), err)
	}
	var reply rueidis.RedisResult
	err = b.do(ctx, func(ctx context.Context) error {
		reply = b.script.Exec(ctx, b.conn.Client(), []string{b.reports, b.seen},
			[]string{r.ID, string(text), strconv.FormatInt(keptFor.Milliseconds(), 10), strconv.Itoa(maxProcesses)})
		return reply.NonRedisError()
	})
	if err != nil {
		return err
	}
	n, err := reply.AsInt64()
	if err == nil && n == 0 {
		return fmt.Errorf("%d processes publish their figures already", maxProcesses)
	}
	return err
}

// Withdraw removes a process.
func (b *Board) Withdraw(ctx context.Context, id string) error {
	c := b.conn.Client()
	return b.do(ctx, func(ctx context.Context) error {
		return redisconn.NonRedisError(c.DoMulti(ctx, c.B().Hdel().Key(b.reports).Field(id).Build(), c.B().Zrem().Key(b.seen).Member(id).Build()))
	})
}

// Reports reads the reports of all processes, those that started first at the beginning. A report that cannot be parsed is left out.
func (b *Board) Reports(ctx context.Context) ([]Report, error) {
	c := b.conn.Client()
	var replies []rueidis.RedisResult
	err := b.do(ctx, func(ctx context.Context) error {
		replies = c.DoMulti(ctx, c.B().Time().Build(), c.B().Zrange().Key(b.seen).Min("0").Max("-1").Withscores().Build(),
			c.B().Hgetall().Key(b.reports).Build())
		return redisconn.NonRedisError(replies)
	})
	if err != nil {
		return nil, err
	}
	now, err := redisTime(replies[0])
	if err != nil {
		return nil, redisconn.Unavailable(err)
	}
	seen, err := replies[1].AsZScores()
	if err != nil {
		return nil, redisconn.Unavailable(err)
	}
	texts, err := replies[2].AsStrMap()
	if err != nil {
		return nil, redisconn.Unavailable(err)
	}
	return parseReports(now, seen, texts), nil
}

func parseReports(now time.Time, seen []rueidis.ZScore, texts map[string]string) []Report {
	var out []Report
	for _, s := range seen {
		var r Report
		if json.Unmarshal([]byte(texts[s.Member]), &r) != nil {
			continue
		}
		r.ID, r.Age = s.Member, max(0, now.Sub(time.UnixMilli(int64(s.Score))))
		if r.Age <= keptFor {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Report) int { return a.StartedAt.Compare(b.StartedAt) })
	return out
}

// redisTime parses the reply of TIME: seconds and microseconds.
func redisTime(r rueidis.RedisResult) (time.Time, error) {
	parts, err := r.AsStrSlice()
	if err != nil || len(parts) != 2 {
		return time.Time{}, fmt.Errorf("TIME replied %q: %w", parts, err)
	}
	s, err1 := strconv.ParseInt(parts[0], 10, 64)
	us, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}, fmt.Errorf("TIME replied %q", parts)
	}
	return time.Unix(s, us*int64(time.Microsecond)), nil
}

func (b *Board) do(ctx context.Context, f func(ctx context.Context) error) error {
	if err := breaker.Do(ctx, b.breaker, b.breaker.Timeout(), f); err != nil {
		return redisconn.Unavailable(err)
	}
	return nil
}
