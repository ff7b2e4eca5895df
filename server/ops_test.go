package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/pipeline"
)

// fakeShop is read by the OpsService. Its depth counts how often it was read.
type fakeShop struct {
	reads atomic.Int64
	// text makes the message of the first reading large.
	text string
}

func (s *fakeShop) view(context.Context) pipeline.View {
	n, text := s.reads.Add(1), ""
	if n == 1 {
		text = s.text
	}
	return pipeline.View{
		At: time.Now(), Stages: []pipeline.StageView{{Stage: pipeline.Flush, Depth: &n, Processes: 1}},
		Partition: pipeline.Partition{Epoch: journal.Epoch{Number: 7}, ClosedReason: text},
	}
}

// opsFixture is the real port with an OpsService.
type opsFixture struct {
	*edgeFixture
	*fakeShop
	ops *Ops
}

func serveOps(t *testing.T, change ...func(*OpsConfig)) *opsFixture {
	t.Helper()
	cfg := DefaultOpsConfig()
	cfg.Interval = 20 * time.Millisecond
	for _, c := range change {
		c(&cfg)
	}
	shop := &fakeShop{}
	ops := NewOps(cfg, shop.view)
	f := &opsFixture{edgeFixture: startServer(t, Services{Ops: ops}), fakeShop: shop, ops: ops}
	t.Cleanup(ops.Stop) // Before the port is closed.
	return f
}

type pipelineStream struct {
	t *testing.T
	*connect.ServerStreamForClient[spillwayv1.WatchPipelineResponse]
}

func (f *opsFixture) watch(t *testing.T, interval time.Duration, client *http.Client, opts ...connect.ClientOption) pipelineStream {
	t.Helper()
	c := spillwayv1connect.NewOpsServiceClient(client, f.url, append(opts, authorized(f.token(t, "boss", auth.Operator)))...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*watchWait)
	t.Cleanup(cancel)
	stream, err := c.WatchPipeline(ctx, &spillwayv1.WatchPipelineRequest{Interval: durationpb.New(interval)})
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return pipelineStream{t, stream}
}

// next returns the next message.
func (s pipelineStream) next() *spillwayv1.Pipeline {
	s.t.Helper()
	if !s.Receive() {
		s.t.Fatalf("the stream ended: %v", s.Err())
	}
	return s.Msg().GetPipeline()
}

// wantEnd reads to the end, which must have the code and a retry hint.
func (s pipelineStream) wantEnd(code connect.Code) {
	s.t.Helper()
	for s.Receive() {
	}
	var ce *connect.Error
	if !errors.As(s.Err(), &ce) || ce.Code() != code || detailOf[*errdetails.RetryInfo](ce).GetRetryDelay().AsDuration() <= 0 {
		s.t.Errorf("ended with %v; want %v with a RetryInfo", s.Err(), code)
	}
}

// eventuallyWatched returns when there are so many watchers.
func (f *opsFixture) eventuallyWatched(t *testing.T, n int) {
	t.Helper()
	deadline, got := time.Now().Add(watchWait), -1
	for time.Now().Before(deadline) {
		f.ops.mu.Lock()
		got = f.ops.watchers
		f.ops.mu.Unlock()
		if got == n {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("%d watchers; want %d", got, n)
}

// TestWatchPipeline_OverEachProtocol sends newer and newer figures.
func TestWatchPipeline_OverEachProtocol(t *testing.T) {
	f := serveOps(t)
	for name, p := range protocols(h2cClient(t), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}) {
		t.Run(name, func(t *testing.T) {
			s := f.watch(t, 0, p.client, p.opts...)
			first := s.next()
			if first.GetMode() != spillwayv1.PipelineMode_PIPELINE_MODE_REDIS || first.GetPartitions()[0].GetEpoch() != 7 {
				t.Errorf("got %v", first)
			}
			if got := s.next(); got.GetStages()[0].GetDepth() <= first.GetStages()[0].GetDepth() || !got.GetTime().AsTime().After(first.GetTime().AsTime()) {
				t.Errorf("after %v came %v", first, got)
			}
			_ = s.Close()
		})
	}
	f.eventuallyWatched(t, 0)
}

// TestWatchPipeline_IntervalIsTheServersAtLeast: a watcher may want fewer messages, never more.
func TestWatchPipeline_IntervalIsTheServersAtLeast(t *testing.T) {
	f := serveOps(t, func(c *OpsConfig) { c.Interval = 100 * time.Millisecond })
	for wanted, want := range map[time.Duration]time.Duration{0: f.ops.cfg.Interval, time.Nanosecond: f.ops.cfg.Interval, time.Minute: time.Minute} {
		s := f.watch(t, wanted, f.client)
		if got := s.next().GetInterval().AsDuration(); got != want {
			t.Errorf("of %s: %s; want %s", wanted, got, want)
		}
		_ = s.Close()
	}
	// Of the server's times: a client that was kept from its processor finds several messages at once. A server that was kept from it sends one or two
	// of the six too early, because its ticker has waited.
	s := f.watch(t, 0, f.client)
	first := s.next().GetTime().AsTime()
	for range 4 {
		s.next()
	}
	if took := s.next().GetTime().AsTime().Sub(first); took < 3*f.ops.cfg.Interval {
		t.Errorf("six messages in %s", took)
	}
	c := spillwayv1connect.NewOpsServiceClient(f.client, f.url, authorized(f.token(t, "boss", auth.Operator)))
	stream, err := c.WatchPipeline(t.Context(), &spillwayv1.WatchPipelineRequest{Interval: durationpb.New(2 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeInvalidArgument {
		t.Errorf("of two minutes: %v", stream.Err())
	}
}

// TestWatchPipeline_WatchersShareAReading: many watchers cost Redis and SQL no more than one.
func TestWatchPipeline_WatchersShareAReading(t *testing.T) {
	f := serveOps(t, func(c *OpsConfig) { c.Interval = time.Minute })
	for range 5 {
		if got := f.watch(t, 0, f.client).next().GetStages()[0].GetDepth(); got != 1 {
			t.Errorf("a watcher got reading %d", got)
		}
	}
	if n := f.reads.Load(); n != 1 {
		t.Errorf("%d readings", n)
	}
}

func TestWatchPipeline_TooManyWatchers(t *testing.T) {
	f := serveOps(t, func(c *OpsConfig) { c.Watchers = 2 })
	first := f.watch(t, 0, f.client)
	first.next()
	f.watch(t, 0, f.client).next()
	f.watch(t, 0, f.client).wantEnd(connect.CodeResourceExhausted)
	_ = first.Close()
	f.eventuallyWatched(t, 1)
	f.watch(t, 0, f.client).next()
}

// TestWatchPipeline_ServerStops: at once, also while a watcher waits for its next message.
func TestWatchPipeline_ServerStops(t *testing.T) {
	f := serveOps(t, func(c *OpsConfig) { c.Interval = time.Minute })
	s := f.watch(t, 0, f.client)
	s.next()
	began := time.Now()
	f.ops.Stop()
	f.ops.Stop()
	s.wantEnd(connect.CodeUnavailable)
	f.watch(t, 0, f.client).wantEnd(connect.CodeUnavailable)
	if took := time.Since(began); took > drainTimeout-time.Second {
		t.Errorf("ended after %s", took)
	}
}

func TestWatchPipeline_Lifetime(t *testing.T) {
	f := serveOps(t, func(c *OpsConfig) { c.Lifetime = 200 * time.Millisecond })
	f.watch(t, 0, f.client).wantEnd(connect.CodeUnavailable)
}

// TestWatchPipeline_SlowReader: one that reads nothing is cut off, and until then no watcher waits for it.
func TestWatchPipeline_SlowReader(t *testing.T) {
	f := serveOps(t, func(c *OpsConfig) { c.MaxSend = 5 * time.Second })
	f.text = strings.Repeat("n", 8<<20) // more than a kernel keeps for a reader
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	body := append(binary.BigEndian.AppendUint32([]byte{0}, 2), "{}"...)
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		spillwayv1connect.OpsServiceWatchPipelineProcedure, f.token(t, "boss", auth.Operator), len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	f.eventuallyWatched(t, 1)
	eventually(t, "the large reading", func() bool { return f.reads.Load() > 0 })
	pass(2 * f.ops.cfg.Interval) // From then on readings are small, so that the kernel takes those of a watcher whom the machine makes wait.
	other := f.watch(t, 0, f.client)
	other.next()
	other.next()
	f.eventuallyWatched(t, 1) // The one that reads nothing is gone.
	other.next()
}

// TestOutcomeMessages_ByFrequency sorts by rate, and equal ones by name.
func TestOutcomeMessages_ByFrequency(t *testing.T) {
	var got []string
	for _, o := range outcomeMessages(map[string]float64{"b": 1, "a": 1, "SOLD_OUT": 3}) {
		got = append(got, o.GetOutcome())
	}
	if strings.Join(got, " ") != "SOLD_OUT a b" {
		t.Errorf("got %v", got)
	}
}

// TestPipelineMessage_EveryStageHasAName: a stage that is missing would be unspecified.
func TestPipelineMessage_EveryStageHasAName(t *testing.T) {
	seen := map[spillwayv1.PipelineStage]bool{}
	for _, s := range pipeline.Stages() {
		m := stageMessages[s]
		if m == spillwayv1.PipelineStage_PIPELINE_STAGE_UNSPECIFIED || seen[m] {
			t.Errorf("%s is %v", s, m)
		}
		seen[m] = true
	}
	if len(seen) != len(spillwayv1.PipelineStage_name)-1 {
		t.Errorf("%d of %d stages of the API exist", len(seen), len(spillwayv1.PipelineStage_name)-1)
	}
}

// TestPipelineMessage_Mode: the API shows where orders are taken.
func TestPipelineMessage_Mode(t *testing.T) {
	for name, c := range map[string]struct {
		epoch journal.Epoch
		want  spillwayv1.PipelineMode
	}{
		"in Redis": {journal.Epoch{Number: 1, Mode: journal.ModeRedis}, spillwayv1.PipelineMode_PIPELINE_MODE_REDIS},
		"in SQL":   {journal.Epoch{Number: 2, Mode: journal.ModeSQL}, spillwayv1.PipelineMode_PIPELINE_MODE_SQL},
		"nowhere":  {journal.Epoch{}, spillwayv1.PipelineMode_PIPELINE_MODE_CLOSED},
	} {
		if got := pipelineMessage(pipeline.View{Partition: pipeline.Partition{Epoch: c.epoch}}, time.Second).GetMode(); got != c.want {
			t.Errorf("orders are taken %s: %s; want %s", name, got, c.want)
		}
	}
}

// TestPipelineMessage_UnknownFiguresAreNotSet distinguishes them from 0.
func TestPipelineMessage_UnknownFiguresAreNotSet(t *testing.T) {
	m := pipelineMessage(pipeline.View{At: time.Now(), Stages: []pipeline.StageView{{Stage: pipeline.Write}, {Stage: pipeline.Flush, Processes: 1}}}, time.Second)
	if w := m.GetStages()[0]; w.PerSecond != nil || w.FailuresPerSecond != nil || w.Depth != nil || w.OldestAge != nil || w.BatchSize != nil || w.OrderAge != nil {
		t.Errorf("of a stage that no process runs: %v", w)
	}
	if w := m.GetStages()[1]; w.PerSecond == nil || w.GetPerSecond() != 0 {
		t.Errorf("of a stage that does nothing: %v", w)
	}
	if p := m.GetPartitions()[0]; m.GetMode() != spillwayv1.PipelineMode_PIPELINE_MODE_CLOSED || p.Epoch != nil || p.JournalEntries != nil ||
		len(p.GetReaders()) > 0 {
		t.Errorf("without an epoch and Redis: %v", m)
	}
	if m.DeadLetters != nil || m.Audit != nil {
		t.Errorf("without SQL: %v", m)
	}
}
