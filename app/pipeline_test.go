package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/test/realparts"
)

const (
	stageAccept = spillwayv1.PipelineStage_PIPELINE_STAGE_ACCEPT
	stageFlush  = spillwayv1.PipelineStage_PIPELINE_STAGE_FLUSH
	stageRelay  = spillwayv1.PipelineStage_PIPELINE_STAGE_RELAY
	stageWrite  = spillwayv1.PipelineStage_PIPELINE_STAGE_WRITE
	stageShip   = spillwayv1.PipelineStage_PIPELINE_STAGE_SHIP
	stageCharge = spillwayv1.PipelineStage_PIPELINE_STAGE_CHARGE
)

// testKey signs the tokens of the shops of these tests.
const testKey = "0123456789abcdef0123456789abcdef"

// pipelineWatch is a stream of the figures of a shop.
type pipelineWatch struct {
	t *testing.T
	*connect.ServerStreamForClient[spillwayv1.WatchPipelineResponse]
}

func watchPipeline(t *testing.T, url string) pipelineWatch {
	t.Helper()
	tokens, err := auth.NewTokens([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := tokens.Mint(auth.Caller{Customer: "boss", Roles: []auth.Role{auth.Operator}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*testTimeout)
	t.Cleanup(cancel)
	stream, err := spillwayv1connect.NewOpsServiceClient(&http.Client{Transport: &http.Transport{}}, url).
		WatchPipeline(authorized(ctx, token), &spillwayv1.WatchPipelineRequest{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return pipelineWatch{t, stream}
}

// until reads messages until one of them is as wanted.
func (w pipelineWatch) until(what string, wanted func(p *spillwayv1.Pipeline) bool) *spillwayv1.Pipeline {
	w.t.Helper()
	for deadline := time.Now().Add(testTimeout); time.Now().Before(deadline); {
		if !w.Receive() {
			w.t.Fatalf("waiting for %s: the stream ended: %v", what, w.Err())
		}
		if wanted(w.Msg().GetPipeline()) {
			return w.Msg().GetPipeline()
		}
	}
	w.t.Fatalf("waited %s for %s; the last message is %v", testTimeout, what, w.Msg())
	return nil
}

func stageOf(p *spillwayv1.Pipeline, stage spillwayv1.PipelineStage) *spillwayv1.StageFigures {
	i := slices.IndexFunc(p.GetStages(), func(s *spillwayv1.StageFigures) bool { return s.GetStage() == stage })
	return p.GetStages()[i]
}

// TestPipeline_EveryWorkerIsAStage: a worker that is missing would be invisible.
func TestPipeline_EveryWorkerIsAStage(t *testing.T) {
	cfg := embedded(t)
	cfg.Auth.Key = testKey
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	defer func() { _ = stop() }()
	p := watchPipeline(t, a.URL()).until("the first report", func(p *spillwayv1.Pipeline) bool { return stageOf(p, stageAccept).PerSecond != nil })
	for _, s := range p.GetStages() {
		if s.GetProcesses() != 1 || s.PerSecond == nil {
			t.Errorf("%s is run by %d processes", s.GetStage(), s.GetProcesses())
		}
	}
	if want := len(app.WorkerNames()) + 4; len(p.GetStages()) != want {
		t.Errorf("%d stages; want %d: the workers and those of a checkout", len(p.GetStages()), want)
	}
	if len(p.GetProcesses()) != 1 || !p.GetProcesses()[0].GetSelf() || p.GetProcesses()[0].GetRole() != "all" || len(p.GetUnavailable()) > 0 {
		t.Errorf("processes %v; unavailable %v", p.GetProcesses(), p.GetUnavailable())
	}
}

// TestPipeline_OrderPassesEachStage: the figures of each stage change as an order passes, and show what the metrics count.
func TestPipeline_OrderPassesEachStage(t *testing.T) {
	cfg := embedded(t)
	cfg.Auth.Key, cfg.Audit.Interval = testKey, 100*time.Millisecond
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	defer func() { _ = stop() }()
	w := watchPipeline(t, a.URL())
	ctx, id := placeOrder(t, a.URL())
	waitForState(ctx, t, a.URL(), id, spillwayv1.OrderState_ORDER_STATE_SHIPPED)
	passed := map[spillwayv1.PipelineStage]*spillwayv1.StageFigures{} // On a busy machine it has left the window of a stage before it is in the last one.
	p := w.until("the order in every stage", func(p *spillwayv1.Pipeline) bool {
		for _, s := range p.GetStages() {
			if s.GetPerSecond() > 0 {
				passed[s.GetStage()] = s
			}
		}
		return !slices.ContainsFunc([]spillwayv1.PipelineStage{stageAccept, stageCharge, stageFlush, stageRelay, stageWrite, stageShip},
			func(s spillwayv1.PipelineStage) bool { return stageOf(p, s).GetTotal() == 0 || passed[s] == nil }) && p.GetAudit() != nil
	})
	if accept := passed[stageAccept]; accept.GetTotal() != 1 || len(accept.GetOutcomes()) != 1 || accept.GetOutcomes()[0].GetOutcome() != "accepted" {
		t.Errorf("accept: %v", accept)
	}
	if flush := passed[stageFlush]; stageOf(p, stageFlush).GetTotal() != 2 || flush.GetBatchSize() < 1 {
		t.Errorf("flush: %v", flush)
	}
	if ship := passed[stageShip]; ship.GetOrderAge().AsDuration() <= 0 || ship.GetTotal() != 1 {
		t.Errorf("ship: %v", ship)
	}
	if part := p.GetPartitions()[0]; part.GetEpoch() != 1 || part.GetDurability() == "" || part.GetJournalLimit() == 0 || len(part.GetReaders()) != 2 {
		t.Errorf("partition: %v", part)
	}
	if p.GetAudit().GetViolations() != 0 || p.GetDeadLetters() == nil || p.GetDeadLetters().GetCount() != 0 {
		t.Errorf("audit %v, dead letters %v", p.GetAudit(), p.GetDeadLetters())
	}
	w.until("the rate to fall to 0", func(p *spillwayv1.Pipeline) bool {
		s := stageOf(p, stageAccept)
		return s.GetPerSecond() == 0 && s.GetTotal() == 1
	})
}

// realConfig is the configuration of a process of a shop on real Redis and MySQL, with its queue in Redis.
func realConfig(t *testing.T, role app.Role, dsn, redis string) app.Config {
	t.Helper()
	cfg := app.DefaultConfig(role)
	cfg.SQL.DataDir, cfg.SQL.MySQL, cfg.Redis.Addr = t.TempDir(), dsn, redis
	cfg.HTTP.Listen, cfg.Admin.Listen, cfg.Auth.Key = "127.0.0.1:0", "", testKey
	return cfg
}

// TestPipeline_WorkersInOtherProcesses: serve shows what the processes with workers do, and that nothing drains when they have ended.
func TestPipeline_WorkersInOtherProcesses(t *testing.T) {
	dsn, redis, log := realparts.MySQL(t), realparts.StartRedis(t).Addr(), slog.New(slog.DiscardHandler)
	serve := realConfig(t, app.RoleServe, dsn, redis)
	_, err1 := app.MigrateUp(t.Context(), serve.SQL)
	_, err2 := app.Seed(t.Context(), serve.SQL)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	api, stopAPI := start(t, serve, log)
	defer func() { _ = stopAPI() }()
	w := watchPipeline(t, api.URL())
	p := w.until("the first report", func(p *spillwayv1.Pipeline) bool { return stageOf(p, stageAccept).GetProcesses() == 1 })
	if flush := stageOf(p, stageFlush); flush.GetProcesses() != 0 || flush.PerSecond != nil || flush.Depth == nil {
		t.Errorf("without workers: %v", flush)
	}
	ctx, id := placeOrder(t, api.URL())
	w.until("the order to wait for the flusher", func(p *spillwayv1.Pipeline) bool {
		flush, relay := stageOf(p, stageFlush), stageOf(p, stageRelay)
		return flush.GetDepth() == 2 && relay.GetDepth() == 2 && flush.GetOldestAge().AsDuration() > time.Second && relay.GetOldestAge().AsDuration() > time.Second
	})
	_, stopWork := start(t, realConfig(t, app.RoleWork, dsn, redis), log)
	waitForState(ctx, t, api.URL(), id, spillwayv1.OrderState_ORDER_STATE_SHIPPED)
	p = w.until("the figures of the other process", func(p *spillwayv1.Pipeline) bool {
		return stageOf(p, stageShip).GetTotal() == 1 && stageOf(p, stageFlush).GetDepth() == 0 && stageOf(p, stageFlush).GetTotal() == 2 &&
			stageOf(p, stageShip).GetProcesses() == 1 // A process that was kept from its processor for three seconds counts as ended, until its next report.
	})
	if ship := stageOf(p, stageShip); len(p.GetProcesses()) != 2 || ship.GetBreaker() != spillwayv1.BreakerState_BREAKER_STATE_CLOSED {
		t.Errorf("ship: %v; processes: %v", ship, p.GetProcesses())
	}
	if err := stopWork(); err != nil {
		t.Fatal(err)
	}
	p = w.until("the other process to leave", func(p *spillwayv1.Pipeline) bool { return len(p.GetProcesses()) == 1 })
	if flush := stageOf(p, stageFlush); flush.GetProcesses() != 0 || flush.PerSecond != nil {
		t.Errorf("flush: %v", flush)
	}
	// Orders pile up again, and grow older.
	placeOrderWith(t, api.URL(), "another")
	var age time.Duration
	for range 3 {
		p = w.until("an older backlog", func(p *spillwayv1.Pipeline) bool {
			flush := stageOf(p, stageFlush)
			return flush.GetDepth() == 2 && flush.GetOldestAge().AsDuration() > age
		})
		age = stageOf(p, stageFlush).GetOldestAge().AsDuration()
	}
}

// TestPipeline_ShutdownEndsWatchers at once, with `unavailable`.
func TestPipeline_ShutdownEndsWatchers(t *testing.T) {
	cfg := embedded(t)
	cfg.Auth.Key = testKey
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	w := watchPipeline(t, a.URL())
	w.until("the first message", func(*spillwayv1.Pipeline) bool { return true })
	began := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for w.Receive() {
	}
	if took := time.Since(began); connect.CodeOf(w.Err()) != connect.CodeUnavailable || took > cfg.HTTP.DrainTimeout {
		t.Errorf("ended after %s with %v", took, w.Err())
	}
}
