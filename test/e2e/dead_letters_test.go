package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/redisstream"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/wire"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// paidEvent is what a queue carries of an order that no shop has seen.
func paidEvent(t testing.TB, key string) (order.Order, *spillwayv1.OrderEvent) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	o := order.Order{
		ID: order.NewID(0, now), CustomerID: "c", Currency: "EUR", Email: "a@example.com", TrackingID: "SPWT", IdempotencyKey: key,
		Fingerprint: []byte{1}, Lines: []order.Line{{SKU: hotSKU, Name: "a", Quantity: 3, UnitPrice: 150}}, CreatedAt: now, UpdatedAt: now,
		Address: order.Address{Name: "N", Street: "S", City: "C", PostalCode: "P", CountryCode: "DE"},
	}
	if err := o.Price(499); err != nil {
		t.Fatal(err)
	}
	m, err := wire.ToEvent(order.Event{Order: o, To: order.Paid, At: now, Trace: traceparent})
	if err != nil {
		t.Fatal(err)
	}
	return o, m
}

func marshalled(t testing.TB, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// argument is the value of one of the shop's flags.
func (s *shop) argument(flag string) string {
	for i, a := range s.args {
		if a == flag {
			return s.args[i+1]
		}
	}
	s.t.Fatalf("the shop has no %s", flag)
	return ""
}

// headers are those of a message of the shop.
func (s *shop) headers() map[string]string {
	s.t.Helper()
	id, err := store.NewSettings(s.db()).ShopID(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return map[string]string{"traceparent": traceparent, queue.ShopHeader: id}
}

// TestDeadLetter_PoisonMessageCostsOnlyItself: it becomes one dead letter for each group of workers, and the orders around it reach their end. Messages
// of another shop, and of none, change nothing.
func TestDeadLetter_PoisonMessageCostsOnlyItself(t *testing.T) {
	redis := realparts.StartRedis(t).Addr()
	s := onRealParts(t, redis)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redis}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const topic = "spillway-orders"
	b, err := redisstream.New(client, redisstream.Config{
		Topics: map[string][]string{topic: {"orders", "shipping", "mail"}},
		Key:    func(topic string) string { return "{" + s.argument("--redis-namespace") + ":queue:" + topic + "}" },
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	_, unreadable := paidEvent(t, "unreadable")
	unreadable.Snapshot = []byte{0xff}
	good, readable := paidEvent(t, "good")
	foreign, foreignEvent := paidEvent(t, "foreign")
	err = p.Send(
		t.Context(),
		topic,
		queue.Outgoing{
			Body:    marshalled(t, &spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{foreignEvent}}),
			Headers: map[string]string{queue.ShopHeader: "another"},
		},
		queue.Outgoing{Body: []byte("garbage of nobody")},
		queue.Outgoing{Body: []byte("garbage"), Headers: s.headers()},
		queue.Outgoing{Body: marshalled(t, &spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{unreadable, readable}}), Headers: s.headers()},
	)
	if err = errors.Join(err, b.Close(context.WithoutCancel(t.Context()))); err != nil {
		t.Fatal(err)
	}
	placed := s.must("CheckoutService/PlaceOrder", s.guest(), orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k")
	for _, id := range []order.ID{good.ID, order.ID(placed.Order.ID)} {
		s.eventually(startTimeout, "the orders around the poison to be shipped", func() bool {
			o, err := store.NewOrders(s.db()).Get(t.Context(), id)
			return err == nil && o.State == order.Shipped
		})
	}
	for _, source := range []string{"order_writer", "shipper", "mailer"} {
		s.eventually(startTimeout, "the poison of the "+source, func() bool {
			letters := s.letters(store.DeadLetterFilter{Source: source, Status: store.DeadLetterOpen})
			for _, l := range letters {
				if l.TraceID != traceparent[3:35] || l.Reason == "" || l.PayloadType == "" {
					t.Errorf("a letter is %+v", l)
				}
			}
			return len(letters) == 2
		})
	}
	if got, err := store.NewOrders(s.db()).Get(t.Context(), foreign.ID); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("the order of another shop is %v, %v; want no row", got.State, err)
	}
	if n := len(s.letters(store.DeadLetterFilter{})); n != 6 {
		t.Errorf("%d letters; want two of each worker, and none of foreign messages", n)
	}
}

func (s *shop) letters(f store.DeadLetterFilter) []store.DeadLetter {
	s.t.Helper()
	found, err := store.NewDeadLetters(s.db()).List(s.t.Context(), f, 0, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// TestDeadLetterDrain_BrokersDeadLettersAreReplayed: a message is received and never acknowledged more often than its group may, so that
// RocketMQ itself puts it aside. The shop brings it to failed_orders, and an operator replays it.
func TestDeadLetterDrain_BrokersDeadLettersAreReplayed(t *testing.T) {
	mq := realparts.StartRocketMQ(t, []string{"e2e-orders"}, []string{"orders:1", "shipping", "mail"})
	o, event := paidEvent(t, "given up")
	dsn := database(t)
	exhaust(t, mq.Addr(), queue.Outgoing{
		Body:    marshalled(t, &spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{event}}),
		Headers: (&shop{t: t, dsn: dsn}).headers(),
	})
	s := onDatabase(t, dsn, realparts.StartRedis(t).Addr(), "--rocketmq", mq.Addr(), "--topic", "e2e-orders")
	// Before that, the shop itself would bring the order to its row.
	if _, err := store.NewOrders(s.db()).Get(t.Context(), o.ID); !errors.Is(err, order.ErrNotFound) {
		t.Fatalf("the order is there, %v; the broker did not give the message up", err)
	}
	var letter store.DeadLetter
	s.eventually(startTimeout, "what the broker gave up", func() bool {
		found := s.letters(store.DeadLetterFilter{Source: "broker/orders"})
		if len(found) == 1 {
			letter = found[0]
		}
		return len(found) == 1
	})
	if letter.OrderID != string(o.ID) || letter.TraceID != traceparent[3:35] || letter.PayloadType != "spillway.v1.OrderEventBatch" || letter.Attempts < 2 {
		t.Errorf("the letter is %+v", letter)
	}
	s.must("DeadLetterService/ReplayDeadLetter", s.operator(), fmt.Sprintf(`{"id":"%d"}`, letter.ID))
	if got, err := store.NewOrders(s.db()).Get(t.Context(), o.ID); err != nil || !got.State.Follows(order.Paid) {
		t.Errorf("the replayed order is %v, %v", got.State, err)
	}
}

// exhaust sends a message and receives it without acknowledging it until the broker has put it aside.
func exhaust(t *testing.T, addr string, message queue.Outgoing) {
	t.Helper()
	const lease = time.Second
	b, err := rocketmq.New(rocketmq.Config{Endpoint: addr, PollTimeout: time.Second, MinLease: lease})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	orders, err1 := b.Consumer("e2e-orders", "orders")
	dead, err2 := b.Consumer(b.Features().DeadLetterPrefix+"orders", "dead-letters")
	p, err3 := b.Producer()
	if err := errors.Join(err1, err2, err3, p.Send(t.Context(), "e2e-orders", message)); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; {
		// The broker moves a message to its dead-letter topic on the next receive.
		if _, err := orders.Receive(t.Context(), 1, lease); err != nil {
			t.Fatal(err)
		}
		aside, err := dead.Receive(t.Context(), 1, lease)
		if err != nil {
			t.Fatal(err)
		}
		if len(aside) == 1 {
			return
		}
		if time.Since(begin) > startTimeout {
			t.Fatal("the broker did not give the message up")
		}
	}
}

// deadLetters runs `spillway dead-letters` against the shop as an operator.
func (s *shop) deadLetters(args ...string) (stdout, stderr string, exit int) {
	s.t.Helper()
	cmd := command(s.t, binary, append([]string{"dead-letters"}, args...)...)
	cmd.Env = append(os.Environ(), "SPILLWAY_AUTH_KEY="+authKey, "SPILLWAY_URL="+s.url, "USER=ann")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// plant puts a letter into the shop's database and returns its id.
func (s *shop) plant(f store.DeadLetter) string {
	s.t.Helper()
	f.DedupKey, f.Reason, f.Attempts = fmt.Sprint("planted/", time.Now().UnixNano()), "planted", 5
	if err := store.NewDeadLetters(s.db()).Put(s.t.Context(), f); err != nil {
		s.t.Fatal(err)
	}
	return strconv.FormatInt(s.letters(store.DeadLetterFilter{})[0].ID, 10)
}

// TestDeadLetters_Command looks at planted letters, mends, replays and discards them, as an operator at a terminal does.
func TestDeadLetters_Command(t *testing.T) {
	s := embedded(t)
	o, event := paidEvent(t, "planted")
	replayed := s.plant(store.DeadLetter{Source: "order_writer", OrderID: string(o.ID), PayloadType: wire.TypeEvent, Payload: marshalled(t, event)})
	broken := s.plant(store.DeadLetter{Source: "order_writer", PayloadType: wire.TypeBatch, Payload: []byte("garbage")})
	unwanted := s.plant(store.DeadLetter{Source: "mailer", PayloadType: wire.TypeBatch, Payload: []byte("garbage")})
	run := func(wantExit int, says string, args ...string) string {
		t.Helper()
		out, errs, exit := s.deadLetters(args...)
		if exit != wantExit || !strings.Contains(out+errs, says) {
			t.Errorf("dead-letters %v: exit %d, %s%s\nwant exit %d and %q", args, exit, out, errs, wantExit, says)
		}
		return out
	}
	if list := run(0, "REASON", "list"); strings.Count(list, "planted") != 3 {
		t.Errorf("the list is\n%s", list)
	}
	run(0, `"email": "a@example.com"`, "show", replayed)
	run(0, `"base64"`, "show", broken)
	run(0, "replayed", "replay", replayed)
	run(0, "replayed", "replay", replayed)
	if got, err := store.NewOrders(s.db()).Get(t.Context(), o.ID); err != nil || !got.State.Follows(order.Paid) {
		t.Errorf("the replayed order is %v, %v", got.State, err)
	}
	run(1, "unmarshal", "replay", broken, replayed)
	run(0, "discarded", "discard", unwanted, "--reason", "nobody misses it")
	run(1, "discarded", "replay", unwanted)
	run(0, "nobody misses it", "show", unwanted)
	run(0, "ann", "show", unwanted)

	second, event := paidEvent(t, "mended")
	payload, err := wire.PayloadJSON(wire.TypeBatch, marshalled(t, &spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{event}}))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "payload.json")
	if err := os.WriteFile(file, payload, 0o600); err != nil {
		t.Fatal(err)
	}
	run(0, "mended by hand", "edit", broken, "--file", file, "--reason", "mended by hand")
	run(0, "replayed", "replay", broken)
	if got, err := store.NewOrders(s.db()).Get(t.Context(), second.ID); err != nil || !got.State.Follows(order.Paid) {
		t.Errorf("the mended order is %v, %v", got.State, err)
	}
	run(0, "no dead letters", "list")
	var list struct {
		Letters []struct{ ID, Status string }
	}
	if err := json.Unmarshal([]byte(run(0, "", "list", "--status", "all", "--output", "json")), &list); err != nil || len(list.Letters) != 3 {
		t.Errorf("as JSON: %+v, %v", list, err)
	}
	run(1, "there is no dead letter 99", "show", "99")
	run(2, "--reason", "discard", replayed)
	run(1, "token", "list", "--token", s.guest())
	run(2, "--url", "list", "--url", "nowhere")
}
