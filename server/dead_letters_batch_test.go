package server

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/store"
)

func (d deadLetterFixture) putFor(t *testing.T, key, reason string) int64 {
	t.Helper()
	ctx := t.Context()
	if err := d.dead.Put(ctx, store.DeadLetter{DedupKey: key, Source: "order_writer", Reason: reason, PayloadType: "t", Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	found, err := d.dead.List(ctx, store.DeadLetterFilter{}, 0, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return found[0].ID
}

func TestDeadLetters_GroupsAndBatches(t *testing.T) {
	d := startDeadLetterServer(t)
	token := d.token(t, "ann", auth.Operator)
	ids := []int64{d.putFor(t, "k1", "bad row"), d.putFor(t, "k2", "bad row"), d.putFor(t, "k3", "no order")}
	call := func(procedure, body string) string {
		t.Helper()
		status, _, got := d.post(t, procedure, token, body)
		if status != http.StatusOK {
			t.Fatalf("%s %s: %d %s", procedure, body, status, got)
		}
		return got
	}
	var groups spillwayv1.SummarizeDeadLettersResponse
	read := call(spillwayv1connect.DeadLetterServiceSummarizeDeadLettersProcedure, `{"status":"DEAD_LETTER_STATUS_OPEN"}`)
	if err := protojson.Unmarshal([]byte(read), &groups); err != nil || len(groups.GetGroups()) != 2 || groups.GetTruncated() {
		t.Fatalf("groups: %s, %v", read, err)
	}
	if g := groups.GetGroups()[0]; g.GetReason() != "bad row" || g.GetCount() != 2 || g.GetOldestTime() == nil || g.GetSource() != "order_writer" {
		t.Errorf("the first group is %v", g)
	}
	if got := call(spillwayv1connect.DeadLetterServiceListDeadLettersProcedure, `{"reason":"no order"}`); strings.Count(got, `"id"`) != 1 {
		t.Errorf("listed by reason: %s", got)
	}
	var replayed spillwayv1.ReplayDeadLettersResponse
	results := func(body string) []*spillwayv1.DeadLetterResult {
		t.Helper()
		replayed.Reset()
		if err := protojson.Unmarshal([]byte(call(spillwayv1connect.DeadLetterServiceReplayDeadLettersProcedure, body)), &replayed); err != nil {
			t.Fatal(err)
		}
		return replayed.GetResults()
	}
	if got := results(`{"ids":["1","77"],"dryRun":true}`); len(got) != 2 || got[0].GetError() != nil || got[1].GetError().GetReason() != "DEAD_LETTER_NOT_FOUND" {
		t.Errorf("a dry run: %v", got)
	}
	if letter, err := d.dead.Get(t.Context(), ids[0]); err != nil || letter.Status != store.DeadLetterOpen || len(letter.History) != 0 {
		t.Errorf("after a dry run: %+v, %v; want it unchanged", letter, err)
	}
	if got := results(`{"ids":["1","77"],"note":"the table is mended"}`); got[0].GetError() != nil || got[1].GetError() == nil {
		t.Errorf("a replay: %v", got)
	}
	letter, err := d.dead.Get(t.Context(), ids[0])
	if h := letter.History; err != nil || letter.Status != store.DeadLetterReplayed || len(h) != 1 || h[0].Actor != "ann" || h[0].Detail != "the table is mended" {
		t.Errorf("after the replay: %+v, %v", letter, err)
	}
	got := call(spillwayv1connect.DeadLetterServiceDiscardDeadLettersProcedure, `{"ids":["1","2","3"],"reason":"noise"}`)
	if strings.Count(got, `"reason":"DEAD_LETTER_CLOSED"`) != 1 || strings.Count(got, `"error"`) != 1 {
		t.Errorf("discarded: %s; want the replayed one refused alone", got)
	}
	if letter, err := d.dead.Get(t.Context(), ids[2]); err != nil || letter.Status != store.DeadLetterDiscarded || letter.History[0].Detail != "noise" {
		t.Errorf("after discarding: %+v, %v", letter, err)
	}
	for _, body := range []string{`{"ids":[]}`, `{"ids":["1","1"]}`, `{"ids":["0"]}`} {
		if status, _, got := d.post(t, spillwayv1connect.DeadLetterServiceReplayDeadLettersProcedure, token, body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s; want 400", body, status, got)
		}
	}
}
