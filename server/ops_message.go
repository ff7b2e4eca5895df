package server

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/pipeline"
)

// stageMessages are the stages as the API names them.
var stageMessages = map[pipeline.Stage]spillwayv1.PipelineStage{
	pipeline.Accept: spillwayv1.PipelineStage_PIPELINE_STAGE_ACCEPT, pipeline.Reserve: spillwayv1.PipelineStage_PIPELINE_STAGE_RESERVE,
	pipeline.Charge: spillwayv1.PipelineStage_PIPELINE_STAGE_CHARGE, pipeline.Settle: spillwayv1.PipelineStage_PIPELINE_STAGE_SETTLE,
	pipeline.Flush: spillwayv1.PipelineStage_PIPELINE_STAGE_FLUSH, pipeline.Relay: spillwayv1.PipelineStage_PIPELINE_STAGE_RELAY,
	pipeline.Write: spillwayv1.PipelineStage_PIPELINE_STAGE_WRITE, pipeline.Ship: spillwayv1.PipelineStage_PIPELINE_STAGE_SHIP,
	pipeline.Confirm: spillwayv1.PipelineStage_PIPELINE_STAGE_CONFIRM, pipeline.Mail: spillwayv1.PipelineStage_PIPELINE_STAGE_MAIL,
	pipeline.Reconcile: spillwayv1.PipelineStage_PIPELINE_STAGE_RECONCILE, pipeline.Cancel: spillwayv1.PipelineStage_PIPELINE_STAGE_CANCEL,
	pipeline.Refund: spillwayv1.PipelineStage_PIPELINE_STAGE_REFUND, pipeline.Rescue: spillwayv1.PipelineStage_PIPELINE_STAGE_RESCUE,
	pipeline.Repair: spillwayv1.PipelineStage_PIPELINE_STAGE_REPAIR, pipeline.Lost: spillwayv1.PipelineStage_PIPELINE_STAGE_LOST,
	pipeline.DeadLetter: spillwayv1.PipelineStage_PIPELINE_STAGE_DEAD_LETTER,
}

// breakerMessages are the states of breakers as the API names them.
var breakerMessages = map[string]spillwayv1.BreakerState{
	"closed": spillwayv1.BreakerState_BREAKER_STATE_CLOSED, "half-open": spillwayv1.BreakerState_BREAKER_STATE_HALF_OPEN,
	"open": spillwayv1.BreakerState_BREAKER_STATE_OPEN,
}

func pipelineMessage(v pipeline.View, interval time.Duration) *spillwayv1.Pipeline {
	out := &spillwayv1.Pipeline{
		Time: timestamppb.New(v.At), Interval: durationpb.New(interval), Window: durationpb.New(pipeline.Window),
		Mode: spillwayv1.PipelineMode_PIPELINE_MODE_CLOSED, Partitions: []*spillwayv1.Partition{partitionMessage(v)}, Unavailable: v.Unavailable,
	}
	switch {
	case v.Partition.Epoch.Mode == journal.ModeSQL:
		out.Mode = spillwayv1.PipelineMode_PIPELINE_MODE_SQL
	case v.Partition.Epoch.Number > 0:
		out.Mode = spillwayv1.PipelineMode_PIPELINE_MODE_REDIS
	}
	for _, s := range v.Stages {
		out.Stages = append(out.Stages, stageMessage(s))
	}
	for _, p := range v.Processes {
		out.Processes = append(out.Processes, processMessage(p, v.Self))
	}
	if v.DeadLetters != nil {
		out.DeadLetters = deadLettersMessage(v.DeadLetters)
	}
	if v.Audit != nil {
		out.Audit = &spillwayv1.AuditVerdict{Time: timestamppb.New(v.Audit.At), Violations: v.Audit.Violations, ViolatedRules: v.Audit.Rules}
	}
	return out
}

func partitionMessage(v pipeline.View) *spillwayv1.Partition {
	p := v.Partition
	out := &spillwayv1.Partition{Number: uint32(p.Number), JournalLimit: p.JournalLimit, ClosedReason: p.ClosedReason}
	if p.Epoch.Number > 0 {
		out.Epoch, out.EpochOpenTime = &p.Epoch.Number, timestamppb.New(p.Epoch.OpenedAt)
		out.Instance, out.Durability = p.Epoch.Instance, p.Epoch.Durability
	}
	if p.Readers == nil {
		return out
	}
	out.JournalEntries = &p.Readers.Entries
	reader := func(stage pipeline.Stage, offset string, entries int64, oldest time.Time) {
		m := &spillwayv1.JournalReader{Stage: stageMessages[stage], Offset: offset, Entries: entries}
		if !oldest.IsZero() {
			m.OldestAge = durationpb.New(max(0, v.At.Sub(oldest)))
		}
		out.Readers = append(out.Readers, m)
	}
	if p.Flushed.Epoch > 0 {
		reader(pipeline.Flush, p.Flushed.ID, p.Readers.Flusher.Entries, p.Readers.Flusher.Oldest)
	}
	reader(pipeline.Relay, p.Readers.Relayed, p.Readers.Relay.Entries, p.Readers.Relay.Oldest)
	return out
}

func stageMessage(s pipeline.StageView) *spillwayv1.StageFigures {
	out := &spillwayv1.StageFigures{
		Stage: stageMessages[s.Stage], Processes: int32(s.Processes), //nolint:gosec // There are few.
		Total: s.Total, Failures: s.Failures, Depth: s.Depth, Breaker: breakerMessages[s.Breaker], Outcomes: outcomeMessages(s.Outcomes),
	}
	if s.Processes > 0 {
		out.PerSecond, out.FailuresPerSecond = &s.PerSecond, &s.FailuresPerSecond
	}
	if s.Oldest != nil {
		out.OldestAge = durationpb.New(*s.Oldest)
	}
	if s.Batches > 0 {
		size := s.BatchItems / s.Batches
		out.BatchSize = &size
	}
	if s.Ages > 0 {
		out.OrderAge = durationpb.New(time.Duration(s.AgeSeconds / s.Ages * float64(time.Second)))
	}
	return out
}

// outcomeMessages sorts the outcomes by frequency.
func outcomeMessages(outcomes map[string]float64) (out []*spillwayv1.OutcomeRate) {
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		out = append(out, &spillwayv1.OutcomeRate{Outcome: name, PerSecond: outcomes[name]})
	}
	slices.SortStableFunc(out, func(a, b *spillwayv1.OutcomeRate) int { return cmp.Compare(b.GetPerSecond(), a.GetPerSecond()) })
	return out
}

func processMessage(r pipeline.Report, self string) *spillwayv1.ShopProcess {
	out := &spillwayv1.ShopProcess{
		Id: r.ID, Role: r.Role, Host: r.Host, StartTime: timestamppb.New(r.StartedAt), ReportAge: durationpb.New(r.Age), Self: r.ID == self,
	}
	for _, s := range r.RunStages() {
		out.Stages = append(out.Stages, stageMessages[s])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Breakers)) {
		out.Breakers = append(out.Breakers, &spillwayv1.ProcessBreaker{Name: name, State: breakerMessages[r.Breakers[name]]})
	}
	return out
}

func deadLettersMessage(bySource map[string]int64) *spillwayv1.OpenDeadLetters {
	out := &spillwayv1.OpenDeadLetters{}
	for _, source := range slices.Sorted(maps.Keys(bySource)) {
		out.Count += bySource[source]
		out.Sources = append(out.Sources, &spillwayv1.DeadLetterSource{Source: source, Count: bySource[source]})
	}
	slices.SortStableFunc(out.GetSources(), func(a, b *spillwayv1.DeadLetterSource) int { return cmp.Compare(b.GetCount(), a.GetCount()) })
	return out
}
