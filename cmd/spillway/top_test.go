package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// topMessage is an update of a shop with some of everything.
func topMessage() *spillwayv1.Pipeline {
	at := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	stage := func(s spillwayv1.PipelineStage, change func(f *spillwayv1.StageFigures)) *spillwayv1.StageFigures {
		f := &spillwayv1.StageFigures{
			Stage:             s,
			Processes:         1,
			PerSecond:         proto.Float64(0),
			FailuresPerSecond: proto.Float64(0),
			Breaker:           spillwayv1.BreakerState_BREAKER_STATE_CLOSED,
		}
		change(f)
		return f
	}
	breaker := func(name string, s spillwayv1.BreakerState) *spillwayv1.ProcessBreaker {
		return &spillwayv1.ProcessBreaker{Name: name, State: s}
	}
	return &spillwayv1.Pipeline{
		Time: timestamppb.New(at), Interval: durationpb.New(time.Second), Window: durationpb.New(5 * time.Second), Mode: spillwayv1.PipelineMode_PIPELINE_MODE_REDIS,
		Partitions: []*spillwayv1.Partition{{
			Epoch: proto.Int64(3), EpochOpenTime: timestamppb.New(at.Add(-time.Hour)), Instance: "1f/2e", Durability: "journal",
			JournalEntries: proto.Int64(12345), JournalLimit: 200000, Readers: []*spillwayv1.JournalReader{
				{Stage: spillwayv1.PipelineStage_PIPELINE_STAGE_FLUSH, Offset: "1769846400000-0", Entries: 1200, OldestAge: durationpb.New(2300 * time.Millisecond)},
				{Stage: spillwayv1.PipelineStage_PIPELINE_STAGE_RELAY, Offset: "1769846390000-7"},
			},
		}},
		Stages: []*spillwayv1.StageFigures{
			stage(spillwayv1.PipelineStage_PIPELINE_STAGE_ACCEPT, func(f *spillwayv1.StageFigures) {
				f.PerSecond, f.FailuresPerSecond, f.Depth, f.Processes = proto.Float64(1234.4), proto.Float64(17.25), proto.Int64(64), 2
				f.Breaker = spillwayv1.BreakerState_BREAKER_STATE_UNSPECIFIED
				f.Outcomes = []*spillwayv1.OutcomeRate{{Outcome: "accepted", PerSecond: 1234.4}, {Outcome: "SOLD_OUT", PerSecond: 17.25}}
			}),
			stage(spillwayv1.PipelineStage_PIPELINE_STAGE_FLUSH, func(f *spillwayv1.StageFigures) {
				f.PerSecond, f.Depth, f.OldestAge, f.BatchSize = proto.Float64(2400), proto.Int64(1200), durationpb.New(2300*time.Millisecond), proto.Float64(487.6)
			}),
			stage(spillwayv1.PipelineStage_PIPELINE_STAGE_RELAY, func(f *spillwayv1.StageFigures) {
				f.Processes, f.PerSecond, f.FailuresPerSecond, f.Breaker = 0, nil, nil, spillwayv1.BreakerState_BREAKER_STATE_UNSPECIFIED
				f.Depth, f.OldestAge = proto.Int64(1234567), durationpb.New(3*time.Minute+12*time.Second)
			}),
			stage(spillwayv1.PipelineStage_PIPELINE_STAGE_WRITE, func(f *spillwayv1.StageFigures) { f.OrderAge = durationpb.New(90 * time.Minute) }),
			stage(spillwayv1.PipelineStage_PIPELINE_STAGE_SHIP, func(f *spillwayv1.StageFigures) { f.Breaker = spillwayv1.BreakerState_BREAKER_STATE_OPEN }),
			stage(spillwayv1.PipelineStage_PIPELINE_STAGE_DEAD_LETTER, func(f *spillwayv1.StageFigures) {
				f.Breaker, f.Depth = spillwayv1.BreakerState_BREAKER_STATE_HALF_OPEN, proto.Int64(3)
			}),
		},
		Processes: []*spillwayv1.ShopProcess{
			{
				Id: "ABCDEFGHIJKLM", Role: "serve", Host: "shop-1", StartTime: timestamppb.New(at.Add(-50 * time.Hour)), ReportAge: durationpb.New(0), Self: true,
				Breakers: []*spillwayv1.ProcessBreaker{breaker("redis", spillwayv1.BreakerState_BREAKER_STATE_CLOSED)},
			},
			{
				Id: "NOPQ", Role: "work", Host: "shop-2", StartTime: timestamppb.New(at.Add(-42 * time.Second)), ReportAge: durationpb.New(412 * time.Millisecond),
				Breakers: []*spillwayv1.ProcessBreaker{
					breaker("handover", spillwayv1.BreakerState_BREAKER_STATE_OPEN), breaker("sql", spillwayv1.BreakerState_BREAKER_STATE_HALF_OPEN),
				},
			},
		},
		DeadLetters: &spillwayv1.OpenDeadLetters{Count: 3, Sources: []*spillwayv1.DeadLetterSource{{Source: "order_writer", Count: 2}, {Source: "mailer", Count: 1}}},
		Audit:       &spillwayv1.AuditVerdict{Time: timestamppb.New(at.Add(-time.Minute)), Violations: 2, ViolatedRules: []string{"stock_adds_up"}},
		Unavailable: []string{"sql"},
	}
}

const topGolden = `
spillway top  http://shop  2026-01-31 08:00:00Z  rates over 5s
partition 0  epoch 3 since 2026-01-31 07:00:00Z  durability journal  redis 1f/2e
  journal 12,345 of 200,000 entries  flush at 1769846400000-0, 1,200 behind (2.3s)  relay at 1769846390000-7, 0 behind
dead letters 3: order_writer 2, mailer 1
audit 2 violations of stock_adds_up
could not be read: sql

STAGE        PROC  RATE/S      DEPTH  OLDEST  FAIL/S  BATCH    AGE  BREAKER
accept          2   1,234         64       -    17.2      -      -  -
flush           1   2,400      1,200    2.3s     0.0    488      -  closed
relay           0       -  1,234,567   3m12s       -      -      -  -
write           1     0.0          -       -     0.0      -  1h30m  closed
ship            1     0.0          -       -     0.0      -      -  open
dead-letter     1     0.0          3       -     0.0      -      -  half-open

PlaceOrder a second: accepted 1,234, SOLD_OUT 17.2

PROCESS    ROLE   HOST      UP  REPORT  BREAKERS
ABCDEFGH*  serve  shop-1  2d2h      0s  all closed
NOPQ       work   shop-2   42s   412ms  handover open, sql half-open
`

func TestTopLines_Golden(t *testing.T) {
	if got := "\n" + strings.Join(topLines(topMessage(), "http://shop", plainStyle), "\n") + "\n"; got != topGolden {
		t.Errorf("got:%s\nwant:%s", got, topGolden)
	}
}

// TestTopLines_Tones: what stands still is red, what limps yellow.
func TestTopLines_Tones(t *testing.T) {
	text := strings.Join(topLines(topMessage(), "http://shop", ansiStyle), "\n")
	for line, tone := range map[string]tone{
		"STAGE ": toneHead, "relay ": toneBad, "ship ": toneBad, "dead-letter ": toneWarn, "flush  ": toneNormal, "audit ": toneBad, "NOPQ ": toneBad,
	} {
		if want := "\n" + ansiTones[tone] + line; !strings.Contains(text, want) {
			t.Errorf("there is no %q in %q", want, text)
		}
	}
	closed := topMessage()
	closed.Partitions[0] = &spillwayv1.Partition{ClosedReason: "redis: no route"}
	if text := strings.Join(topLines(closed, "http://shop", ansiStyle), "\n"); !strings.Contains(
		text,
		ansiTones[toneBad]+"partition 0  no epoch is open, no orders are taken: redis: no route",
	) {
		t.Errorf("without an epoch: %q", text)
	}
}

// poison sets every text of a message to one with control characters.
func poison(m protoreflect.Message, text string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() == protoreflect.StringKind && f.IsList():
			v.List().Set(0, protoreflect.ValueOfString(text))
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(text))
		case f.Kind() == protoreflect.MessageKind && f.IsList():
			for i := range v.List().Len() {
				poison(v.List().Get(i).Message(), text)
			}
		case f.Kind() == protoreflect.MessageKind:
			poison(v.Message(), text)
		}
		return true
	})
}

// TestTop_ControlCharactersDoNotReachTheTerminal: escape sequences, C1 controls, and characters that turn the direction of a line.
func TestTop_ControlCharactersDoNotReachTheTerminal(t *testing.T) {
	const evil = "a\x1b]0;title\x07b\u009b2Jc\u202ed\re\nf\x7fg\u2028h"
	m := topMessage()
	poison(m.ProtoReflect(), evil)
	check := func(what, text string) {
		t.Helper()
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Errorf("%s has %q: %q", what, r, text)
				return
			}
		}
	}
	for _, line := range topLines(m, evil, plainStyle) {
		check("a line", line)
	}
	check("the loss of a connection", lostText(errors.New(evil), time.Second))
	raw, err := messageJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	check("JSON", string(raw))
	var parsed struct{ Partitions []struct{ Durability string } }
	if err := json.Unmarshal(raw, &parsed); err != nil || parsed.Partitions[0].Durability != evil {
		t.Errorf("the JSON is another text: %q, %v", parsed, err)
	}
	check("an error", clientFlags{}.explain(connect.NewWireError(connect.CodeInternal, errors.New(evil))).Error())
}

func TestFrame_FitsTheTerminal(t *testing.T) {
	red := ansiStyle(toneBad, "a long line")
	for _, tc := range []struct {
		lines         []string
		columns, rows int
		want          string
	}{
		{[]string{"ab", "c"}, 10, 5, ansiHome + "ab" + ansiEOL + "\r\nc" + ansiEOL + ansiBelow},
		{[]string{"abcdef"}, 3, 5, ansiHome + "abc" + ansiEOL + ansiBelow},
		{[]string{red}, 6, 5, ansiHome + ansiTones[toneBad] + "a long" + ansiReset + ansiEOL + ansiBelow},
		{[]string{"äöü€"}, 3, 5, ansiHome + "äöü" + ansiEOL + ansiBelow},
		{[]string{"1", "2", "3", "4"}, 40, 3, ansiHome + "1" + ansiEOL + "\r\n2" + ansiEOL + "\r\n(2 more lines: the terminal has 3)" + ansiEOL + ansiBelow},
	} {
		if got := frame(tc.lines, tc.columns, tc.rows); got != tc.want {
			t.Errorf("%q in %d × %d: %q; want %q", tc.lines, tc.columns, tc.rows, got, tc.want)
		}
	}
}

func TestDuration_TwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Microsecond: "1ms", 4230 * time.Millisecond: "4.2s", 192 * time.Second: "3m12s", 5*time.Hour + 7*time.Minute: "5h7m", 76 * time.Hour: "3d4h",
	} {
		if got := duration(d); got != want {
			t.Errorf("%s is %q; want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 123456: "123,456"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}

// TestTop_OfAShop prints the figures of a running shop once, in each form.
func TestTop_OfAShop(t *testing.T) {
	emptyEnvironment(t)
	url, dir := startShop(t)
	placeOrder(t, url)
	stdout, stderr, status := spillway(t, "top", "--once", "--url", url, "--data-dir", dir)
	if status != exitOK || !regexp.MustCompile(`(?m)^accept +1 +`).MatchString(stdout) || !regexp.MustCompile(`(?m)^relay +0 +- +2 `).MatchString(stdout) ||
		strings.Contains(stdout, "\x1b") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	stdout, stderr, status = spillway(t, "top", "--once", "--output", "json", "--url", url, "--data-dir", dir)
	var got struct {
		Mode   string
		Stages []struct {
			Stage string
			Depth string
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != exitOK || got.Mode != "PIPELINE_MODE_REDIS" ||
		got.Stages[5].Stage != "PIPELINE_STAGE_RELAY" ||
		got.Stages[5].Depth != "2" {
		t.Errorf("exit status %d, %v: %s%s", status, err, stdout, stderr)
	}
}

// TestTop_WithoutTheRole fails at once with what to do, and so does a shop that is not there.
func TestTop_WithoutTheRole(t *testing.T) {
	emptyEnvironment(t)
	url, _ := startShop(t)
	session, err := spillwayv1connect.NewSessionServiceClient(http.DefaultClient, url).StartGuestSession(t.Context(), &spillwayv1.StartGuestSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	follow := []string{"top", "--url", url, "--token", session.GetToken()}
	for _, args := range [][]string{follow, append(slices.Clone(follow), "--once")} {
		if stdout, stderr, status := spillway(t, args...); status != exitFailure ||
			!strings.Contains(stderr, "this needs the role operator:read; make a token with") {
			t.Errorf("%v: exit status %d: %s%s", args, status, stdout, stderr)
		}
	}
	if _, stderr, status := spillway(t, "top", "--url", "http://127.0.0.1:1", "--token", "x"); status != exitFailure ||
		!strings.Contains(stderr, "nothing answers at") {
		t.Errorf("without a shop: exit status %d: %s", status, stderr)
	}
	for _, args := range [][]string{{"top", "--interval", "10ms"}, {"top", "--interval", "2m"}} {
		if _, stderr, status := spillway(t, args...); status != exitUsage || !strings.Contains(stderr, "--interval") {
			t.Errorf("%v: exit status %d: %s", args, status, stderr)
		}
	}
}

// fakeOps ends its first streams after one message, and is gone for others.
type fakeOps struct {
	spillwayv1connect.UnimplementedOpsServiceHandler
	streams atomic.Int64
}

func (o *fakeOps) WatchPipeline(ctx context.Context, _ *spillwayv1.WatchPipelineRequest, s *connect.ServerStream[spillwayv1.WatchPipelineResponse]) error {
	switch n := o.streams.Add(1); n {
	case 1, 3:
		if err := s.Send(&spillwayv1.WatchPipelineResponse{Pipeline: &spillwayv1.Pipeline{Time: timestamppb.New(time.Unix(n, 0))}}); err != nil {
			return err
		}
		return connect.NewError(connect.CodeUnavailable, errors.New("the server is stopping"))
	case 2:
		return connect.NewError(connect.CodeUnavailable, errors.New("still starting"))
	}
	return connect.NewError(connect.CodePermissionDenied, errors.New("this needs the role operator"))
}

// TestClient_AnotherWebServer: a URL of what is not the API is a usual mistake, such as the address of --admin.
func TestClient_AnotherWebServer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no such page": http.NotFound,
		"a page":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome</html>") },
		"a redirect":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"GET only":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "[]")
		},
	} {
		srv := httptest.NewServer(handler)
		for _, line := range []string{"top", "top --once", "orders list", "dead-letters list"} {
			_, stderr, status := spillway(t, append(strings.Fields(line), "--url", srv.URL, "--token", "t")...)
			if status != exitFailure || !strings.Contains(stderr, "--listen") || !strings.Contains(stderr, srv.URL) {
				t.Errorf("%s: %s ends with status %d and %q", name, line, status, stderr)
			}
		}
		srv.Close()
	}
}

// TestClient_RedirectedToken: a redirect takes an operator's token nowhere.
func TestClient_RedirectedToken(t *testing.T) {
	var calls atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	for _, line := range []string{"top --once", "orders list"} {
		if _, stderr, status := spillway(t, append(strings.Fields(line), "--url", srv.URL, "--token", "t")...); status != exitFailure || calls.Load() > 0 {
			t.Errorf("%s ends with status %d, %q and %d calls of the other server", line, status, stderr, calls.Load())
		}
	}
}

// TestTop_ConnectsAgain after a lost connection, with a longer and longer pause, until its token is refused.
func TestTop_ConnectsAgain(t *testing.T) {
	ops := &fakeOps{}
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewOpsServiceHandler(ops))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	var out bytes.Buffer
	err := run(t.Context(), []string{"top", "--url", srv.URL, "--token", "t"}, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "this needs the role operator") {
		t.Errorf("it ended with %v", err)
	}
	text := out.String()
	for _, want := range []string{
		"1970-01-01 00:00:01Z", "connection lost, connecting again in 1s: the server is stopping", "connecting again in 2s: still starting",
		"1970-01-01 00:00:03Z", "connection lost, connecting again in 1s: the server is stopping",
	} {
		i := strings.Index(text, want)
		if i < 0 {
			t.Fatalf("there is no %q in its place in:\n%s", want, out.String())
		}
		text = text[i+len(want):]
	}
	if n := ops.streams.Load(); n != 4 {
		t.Errorf("%d streams", n)
	}
}
