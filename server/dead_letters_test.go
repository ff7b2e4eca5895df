package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// fakeReplayer is a replayer that remembers who asked.
type fakeReplayer struct {
	dead *store.DeadLetters
	by   []string
	err  error
}

func (r *fakeReplayer) Check(ctx context.Context, id int64) error {
	_, err := r.dead.Get(ctx, id)
	return err
}

func (r *fakeReplayer) ReplayNoted(ctx context.Context, id int64, actor, note string) error {
	r.by = append(r.by, actor)
	if r.err != nil {
		return r.err
	}
	l, err := r.dead.Get(ctx, id)
	if err != nil {
		return err
	}
	return r.dead.CloseReplayed(ctx, id, l.Payload, store.DeadLetterAction{Actor: actor, Detail: note})
}

// deadLetterFixture is a server of dead letters on a database of its own.
type deadLetterFixture struct {
	*edgeFixture

	dead     *store.DeadLetters
	replayer *fakeReplayer
}

func startDeadLetterServer(t *testing.T) deadLetterFixture {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	dead := store.NewDeadLetters(db)
	r := &fakeReplayer{dead: dead}
	return deadLetterFixture{startServer(t, Services{DeadLetters: DeadLetters{Store: dead, Replayer: r}}), dead, r}
}

// put writes a letter and returns its id.
func (d deadLetterFixture) put(t *testing.T, typ string, payload []byte) int64 {
	t.Helper()
	d.fill(t, typ, payload)
	found, err := d.dead.List(t.Context(), store.DeadLetterFilter{}, 0, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("list: %v, %v", found, err)
	}
	return found[0].ID
}

func (d deadLetterFixture) fill(t *testing.T, typ string, payload []byte) {
	t.Helper()
	f := store.DeadLetter{DedupKey: string(newID()), Source: "order_writer", Reason: "why", PayloadType: typ, Payload: payload, Attempts: 2}
	if err := d.dead.Put(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// deadLetterReply is the response of the service.
type deadLetterReply struct {
	Code, Message string
	Letters       []deadLetterBody
	Letter        deadLetterBody
	NextPageToken string
}

type deadLetterBody struct {
	ID          string
	Status      string
	OrderID     string
	Reason      string
	Attempts    int
	PayloadJSON string
	History     []struct{ Action, Actor, Time, Detail string }
}

func (d deadLetterFixture) call(t *testing.T, procedure, token, body string) (int, deadLetterReply) {
	t.Helper()
	status, _, text := d.post(t, procedure, token, body)
	var r deadLetterReply
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%s answered %s", procedure, text)
	}
	return status, r
}

const (
	listLetters   = spillwayv1connect.DeadLetterServiceListDeadLettersProcedure
	getLetter     = spillwayv1connect.DeadLetterServiceGetDeadLetterProcedure
	editLetter    = spillwayv1connect.DeadLetterServiceEditDeadLetterProcedure
	replayLetter  = spillwayv1connect.DeadLetterServiceReplayDeadLetterProcedure
	discardLetter = spillwayv1connect.DeadLetterServiceDiscardDeadLetterProcedure
)

func TestDeadLetters_OperatorsOnly(t *testing.T) {
	d := startDeadLetterServer(t)
	id := d.put(t, wire.TypeBatch, []byte("garbage"))
	one := fmt.Sprintf(`{"id":"%d"}`, id)
	for procedure, body := range map[string]string{listLetters: "{}", getLetter: one, editLetter: one, replayLetter: one, discardLetter: one} {
		for who, token := range map[string]string{"nobody": "", "a customer": d.token(t, "c"), "a service": d.token(t, "s", auth.Service)} {
			status, r := d.call(t, procedure, token, body)
			if status != http.StatusUnauthorized && status != http.StatusForbidden {
				t.Errorf("%s of %s: %d %s", procedure, who, status, r.Message)
			}
		}
	}
}

func TestDeadLetters_Pages(t *testing.T) {
	d := startDeadLetterServer(t)
	op := d.token(t, "op", auth.Operator)
	for range 5 {
		d.fill(t, wire.TypeBatch, []byte("garbage"))
	}
	if _, r := d.call(t, discardLetter, op, `{"id":"2","reason":"a test"}`); r.Letter.Status != "DEAD_LETTER_STATUS_DISCARDED" {
		t.Fatalf("discard: %+v", r)
	}
	var ids []string
	for token := ""; ; {
		_, r := d.call(t, listLetters, op, fmt.Sprintf(`{"pageSize":2,"status":"DEAD_LETTER_STATUS_OPEN","pageToken":%q}`, token))
		for _, l := range r.Letters {
			if ids = append(ids, l.ID); l.PayloadJSON != "" || l.Attempts != 2 {
				t.Errorf("a line of the list is %+v", l)
			}
		}
		if token = r.NextPageToken; token == "" {
			break
		}
	}
	if got := strings.Join(ids, ","); got != "5,4,3,1" {
		t.Errorf("the pages hold %s", got)
	}
	_, first := d.call(t, listLetters, op, `{"pageSize":2,"status":"DEAD_LETTER_STATUS_OPEN"}`)
	others := fmt.Sprintf(`{"status":"DEAD_LETTER_STATUS_DISCARDED","pageToken":%q}`, first.NextPageToken)
	for _, body := range []string{others, `{"pageToken":"x"}`, `{"pageToken":"` + pageToken("x") + `"}`, `{"pageSize":101}`, `{"status":7}`} {
		if _, r := d.call(t, listLetters, op, body); r.Code != "invalid_argument" {
			t.Errorf("%s: %+v", body, r)
		}
	}
}

// TestDeadLetters_EditAndReplay: the payload is shown, edited where it cannot be read, and each step is remembered.
func TestDeadLetters_EditAndReplay(t *testing.T) {
	d := startDeadLetterServer(t)
	ann, bob := d.token(t, "ann", auth.Operator), d.token(t, "bob", auth.Operator)
	id := d.put(t, wire.TypeBatch, []byte("garbage"))
	_, r := d.call(t, getLetter, ann, fmt.Sprintf(`{"id":"%d"}`, id))
	if r.Letter.PayloadJSON != `{"base64":"Z2FyYmFnZQ=="}` || len(r.Letter.History) > 0 {
		t.Errorf("it is shown as %+v", r.Letter)
	}
	o := orderOf("me", order.Paid, 0)
	m, err := wire.ToEvent(order.Event{Order: o, To: order.Paid, At: o.CreatedAt})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(
		`{"events":[{"kind":"ORDER_EVENT_KIND_SETTLED","orderId":%q,"time":"2026-11-25T12:00:00Z","snapshot":%s}]}`,
		o.ID,
		wire.ShowSnapshot(m.GetSnapshot()),
	)
	edit := func(payload string) deadLetterReply {
		body, err := json.Marshal(map[string]any{"id": fmt.Sprint(id), "payloadJson": payload, "reason": "mended"})
		if err != nil {
			t.Fatal(err)
		}
		_, r := d.call(t, editLetter, ann, string(body))
		return r
	}
	for payload, names := range map[string]string{
		"nonsense": "invalid character", `{"base64":"Z2FyYmFnZQ=="}`: "base64", strings.Replace(text, "SETTLED", "BOUGHT", 1): "kind",
		`{"events":[]}`: "no events",
	} {
		if r := edit(payload); r.Code != "invalid_argument" || !strings.Contains(r.Message, names) {
			t.Errorf("edit to %s: %s %q; want invalid_argument that names %s", payload, r.Code, r.Message, names)
		}
	}
	if r := edit(text); r.Letter.OrderID != string(o.ID) || !strings.Contains(r.Letter.PayloadJSON, `"kind":"ORDER_EVENT_KIND_SETTLED"`) {
		t.Fatalf("edited: %+v", r)
	}
	for range 2 {
		if _, r = d.call(t, replayLetter, bob, fmt.Sprintf(`{"id":"%d"}`, id)); r.Letter.Status != "DEAD_LETTER_STATUS_REPLAYED" {
			t.Errorf("replayed: %+v", r)
		}
	}
	h := r.Letter.History
	if len(h) != 2 || h[0].Action != "edited" || h[0].Actor != "ann" || h[0].Detail != "mended" || h[1].Action != "replayed" || h[1].Actor != "bob" ||
		h[1].Time == "" {
		t.Errorf("its history is %+v", h)
	}
	if r := edit(text); r.Code != "failed_precondition" {
		t.Errorf("editing a replayed letter: %+v", r)
	}
}

func TestDeadLetters_FailedReplayReturnsItsError(t *testing.T) {
	d := startDeadLetterServer(t)
	op, id := d.token(t, "op", auth.Operator), d.put(t, wire.TypeBatch, []byte("garbage"))
	d.replayer.err = fmt.Errorf("no stock left: %w", order.ErrFailedPrecondition)
	if _, r := d.call(t, replayLetter, op, fmt.Sprintf(`{"id":"%d"}`, id)); r.Code != "failed_precondition" || !strings.Contains(r.Message, "no stock left") {
		t.Errorf("replay: %+v", r)
	}
	for procedure, body := range map[string]string{getLetter: `{"id":"99"}`, discardLetter: `{"id":"99","reason":"x"}`, editLetter: `{"id":"99","payloadJson":"{}"}`} {
		if _, r := d.call(t, procedure, op, body); r.Code != "not_found" {
			t.Errorf("%s of an unknown letter: %+v", procedure, r)
		}
	}
	if _, r := d.call(t, discardLetter, op, fmt.Sprintf(`{"id":"%d"}`, id)); r.Code != "invalid_argument" {
		t.Errorf("discarding without a reason: %+v", r)
	}
}

// TestDeadLetters_JournalEntryIsShownAndEdited, whether it can be read or not.
func TestDeadLetters_JournalEntryIsShownAndEdited(t *testing.T) {
	o := orderOf("me", order.Paid, 0)
	snapshot, err := wire.MarshalSnapshot(o)
	if err != nil {
		t.Fatal(err)
	}
	entry := journal.Entry{ID: "1-0", Kind: journal.Reserved, OrderID: o.ID, Deltas: []order.Delta{{SKU: "A", Units: -2}}, Snapshot: snapshot, Time: o.CreatedAt}
	good, err := journal.MarshalDeadLetter(entry)
	if err != nil {
		t.Fatal(err)
	}
	shown := showPayload(journal.DeadLetterType, good)
	if !strings.Contains(shown, `"deltas":"A:-2"`) || !strings.Contains(shown, `"customerId":"me"`) {
		t.Errorf("it is shown as %s", shown)
	}
	raw, id, err := readPayload(journal.DeadLetterType, []byte(shown))
	if err != nil || id != string(o.ID) {
		t.Fatalf("read: %q, %v", id, err)
	}
	read, err := journal.UnmarshalDeadLetter(raw)
	if err != nil || len(read.Deltas) != 1 || read.Deltas[0] != entry.Deltas[0] || !bytes.Equal(read.Snapshot, snapshot) || read.Kind != entry.Kind {
		t.Errorf("read %+v, %v", read, err)
	}
	for name, c := range map[string]struct{ from, to, names string }{
		"an unknown kind":   {`"kind":"R"`, `"kind":"?"`, "unknown kind"},
		"bad deltas":        {`A:-2`, `A-2`, "A-2"},
		"no time":           {`"time"`, `"tide"`, "time"},
		"another order":     {`"order":"` + string(o.ID), `"order":"` + string(orderOf("me", order.Paid, 0).ID), "carries order"},
		"a bad snapshot":    {`"customerId"`, `"colour"`, "snapshot"},
		"an unknown member": {`{"id"`, `{"colour":1,"id"`, "colour"},
	} {
		text := strings.Replace(shown, c.from, c.to, 1)
		if _, _, err := readPayload(journal.DeadLetterType, []byte(text)); !errors.Is(err, order.ErrInvalid) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v; want ErrInvalid that names %s", name, err, c.names)
		}
	}
	poison, err := journal.MarshalPoison(&journal.PoisonError{ID: "1-0", Raw: map[string]string{
		"kind": "?", "order": string(o.ID), "deltas": "A:-2", "time": "1764072000000", "snapshot": string(snapshot),
	}})
	if err != nil {
		t.Fatal(err)
	}
	mended := strings.Replace(showPayload(journal.DeadLetterType, poison), `"kind":"?"`, `"kind":"R"`, 1)
	if raw, _, err = readPayload(journal.DeadLetterType, []byte(mended)); err != nil {
		t.Fatal(err)
	}
	if read, err = journal.UnmarshalDeadLetter(raw); err != nil || !bytes.Equal(read.Snapshot, snapshot) || read.OrderID != o.ID {
		t.Errorf("a mended entry is %+v, %v", read, err)
	}
}
