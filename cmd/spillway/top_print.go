package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// tone is how a text is to be seen.
type tone int

const (
	toneNormal tone = iota
	toneHead
	toneWarn
	toneBad
)

// style shows a text in a tone.
type style func(t tone, text string) string

func plainStyle(_ tone, text string) string { return text }

var ansiTones = map[tone]string{toneHead: "\x1b[1m", toneWarn: "\x1b[33m", toneBad: "\x1b[31m"}

func ansiStyle(t tone, text string) string {
	if t == toneNormal {
		return text
	}
	return ansiTones[t] + text + ansiReset
}

// topLines renders an update. Nothing of what the server sent can control the terminal: texts are printable, the rest are numbers.
func topLines(p *spillwayv1.Pipeline, url string, paint style) []string {
	out := []string{
		paint(toneHead, fmt.Sprintf("spillway top  %s  %s  rates over %s", printable(url), p.GetTime().AsTime().Format(time.DateTime+"Z"), age(p.GetWindow()))),
	}
	for _, part := range p.GetPartitions() {
		out = append(out, partitionLines(part, paint)...)
	}
	out = append(out, findingLines(p, paint)...)
	out = append(out, "")
	out = append(out, stageTable(p, paint)...)
	if line := outcomeLine(p); line != "" {
		out = append(out, "", line)
	}
	out = append(out, "")
	return append(out, processTable(p, paint)...)
}

func partitionLines(p *spillwayv1.Partition, paint style) (out []string) {
	name := fmt.Sprintf("partition %d", p.GetNumber())
	if p.Epoch == nil {
		out = append(out, paint(toneBad, name+"  no epoch is open, no orders are taken: "+printable(p.GetClosedReason())))
	} else {
		out = append(out, fmt.Sprintf("%s  epoch %d since %s  durability %s  redis %s", name, p.GetEpoch(),
			p.GetEpochOpenTime().AsTime().Format(time.DateTime+"Z"), dash(p.GetDurability()), dash(p.GetInstance())))
	}
	if p.JournalEntries == nil {
		return out
	}
	line := fmt.Sprintf("  journal %s of %s entries", grouped(p.GetJournalEntries()), grouped(p.GetJournalLimit()))
	for _, r := range p.GetReaders() {
		line += fmt.Sprintf("  %s at %s, %s behind", stageName(r.GetStage()), dash(r.GetOffset()), grouped(r.GetEntries()))
		if r.GetOldestAge() != nil {
			line += " (" + age(r.GetOldestAge()) + ")"
		}
	}
	return append(out, line)
}

// findingLines has what needs an operator: dead letters, violations, and dependencies that could not be read.
func findingLines(p *spillwayv1.Pipeline, paint style) (out []string) {
	if d := p.GetDeadLetters(); d.GetCount() > 0 {
		var sources []string
		for _, s := range d.GetSources() {
			sources = append(sources, fmt.Sprintf("%s %s", printable(s.GetSource()), grouped(s.GetCount())))
		}
		out = append(out, paint(toneWarn, fmt.Sprintf("dead letters %s: %s", grouped(d.GetCount()), strings.Join(sources, ", "))))
	}
	switch a := p.GetAudit(); {
	case a == nil:
	case a.GetViolations() == 0:
		out = append(out, "audit no violations, "+p.GetTime().AsTime().Sub(a.GetTime().AsTime()).Round(time.Second).String()+" ago")
	default:
		out = append(out, paint(toneBad, fmt.Sprintf("audit %s violations of %s", grouped(a.GetViolations()), printable(strings.Join(a.GetViolatedRules(), ", ")))))
	}
	if len(p.GetUnavailable()) > 0 {
		out = append(out, paint(toneBad, "could not be read: "+printable(strings.Join(p.GetUnavailable(), ", "))))
	}
	return out
}

func stageTable(p *spillwayv1.Pipeline, paint style) []string {
	t := topTable{
		head: []string{"STAGE", "PROC", "RATE/S", "DEPTH", "OLDEST", "FAIL/S", "BATCH", "AGE", "BREAKER"},
		left: map[int]bool{0: true, 8: true},
	}
	for _, s := range p.GetStages() {
		t.add(stageTone(s), stageName(s.GetStage()), strconv.Itoa(int(s.GetProcesses())), rateCell(s.PerSecond), countCell(s.Depth), age(s.GetOldestAge()),
			rateCell(s.FailuresPerSecond), rateCell(s.BatchSize), age(s.GetOrderAge()), enumName(s.GetBreaker().String(), "BREAKER_STATE_"))
	}
	return t.lines(paint)
}

// stageTone is bad for a stage that stands still.
func stageTone(s *spillwayv1.StageFigures) tone {
	switch {
	case s.GetBreaker() == spillwayv1.BreakerState_BREAKER_STATE_OPEN, s.GetProcesses() == 0 && s.GetDepth() > 0:
		return toneBad
	case s.GetBreaker() == spillwayv1.BreakerState_BREAKER_STATE_HALF_OPEN, s.GetProcesses() == 0:
		return toneWarn
	}
	return toneNormal
}

// outcomeLine has the results of PlaceOrder; empty if there are none.
func outcomeLine(p *spillwayv1.Pipeline) string {
	for _, s := range p.GetStages() {
		if s.GetStage() != spillwayv1.PipelineStage_PIPELINE_STAGE_ACCEPT || len(s.GetOutcomes()) == 0 {
			continue
		}
		var out []string
		for _, o := range s.GetOutcomes() {
			out = append(out, printable(o.GetOutcome())+" "+rate(o.GetPerSecond()))
		}
		return "PlaceOrder a second: " + strings.Join(out, ", ")
	}
	return ""
}

func processTable(p *spillwayv1.Pipeline, paint style) []string {
	t := topTable{head: []string{"PROCESS", "ROLE", "HOST", "UP", "REPORT", "BREAKERS"}, left: map[int]bool{0: true, 1: true, 2: true, 5: true}}
	for _, proc := range p.GetProcesses() {
		id := printable(proc.GetId())
		if r := []rune(id); len(r) > processIDWidth {
			id = string(r[:processIDWidth])
		}
		if proc.GetSelf() {
			id += "*"
		}
		breakers, tone := breakerCell(proc)
		up := p.GetTime().AsTime().Sub(proc.GetStartTime().AsTime())
		t.add(tone, id, printable(proc.GetRole()), printable(proc.GetHost()), duration(max(0, up)), age(proc.GetReportAge()), breakers)
	}
	return t.lines(paint)
}

// processIDWidth is how much of a process's id is shown.
const processIDWidth = 8

// breakerCell names the breakers that are not closed.
func breakerCell(proc *spillwayv1.ShopProcess) (string, tone) {
	var out []string
	for _, b := range proc.GetBreakers() {
		if b.GetState() != spillwayv1.BreakerState_BREAKER_STATE_CLOSED {
			out = append(out, printable(b.GetName())+" "+enumName(b.GetState().String(), "BREAKER_STATE_"))
		}
	}
	if len(out) == 0 {
		return "all closed", toneNormal
	}
	return strings.Join(out, ", "), toneBad
}
