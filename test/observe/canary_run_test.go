package observe

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/fakeotlp"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/wire"
)

// everything makes processes export all signals, with every span and every log line.
func everything(collector *fakeotlp.Collector) []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "OTEL_TRACES_SAMPLER=always_on", "OTEL_METRIC_EXPORT_INTERVAL=1000", "SPILLWAY_LOG_LEVEL=debug",
	}
}

// TestCanary_NothingPersonalIsExported: no card number, verification code, token, e-mail address, street or name of a request is in any log line,
// span or metric, in the state of a process, or in the list of dead letters: whatever becomes of the request, while dependencies fail too.
func TestCanary_NothingPersonalIsExported(t *testing.T) {
	const topic = "spillway-test-1"
	collector, redis := fakeotlp.Start(t), realparts.StartRedis(t)
	s := newShop(t, redis.Addr(), topic, everything(collector)...)
	serve := s.serve("--customer-orders", "0")
	work := s.work("work", "--simulate-carrier", "down", "--smtp-host", "127.0.0.1", "--smtp-port", refusingMailServer(t), "--smtp-plain", "--log-format", "json")
	p := &prober{shop: s, sku: s.product(1000), soldOut: s.product(0)}
	p.probe(situations)
	p.probe(failures)
	p.poison(topic)
	letters := store.NewDeadLetters(s.db())
	eventually(t, pathTimeout, "dead letters of the order writer and the mailer", func() bool {
		open, err := letters.CountOpen(t.Context())
		return err == nil && open["order_writer"] >= 2 && open["mailer"] >= 2
	})
	p.withoutRedis(redis)
	p.withoutTable("charges")

	c := newCanaries("a key")
	c.token = s.key
	f := newFinder(append(p.sent, c))
	sinks := map[string]string{"the list of dead letters": s.run("dead-letters", "list", "--limit", "1000")}
	for _, process := range []*process{serve, work} {
		for _, page := range []string{"/metrics", "/readyz"} {
			status, body := get("http://" + process.admin + page)
			if status == 0 {
				t.Errorf("%s of %s: %s", page, process.name, body)
			}
			sinks[page+" of "+process.name] = body
		}
		process.stop()
		sinks["the log of "+process.name] = process.logged()
	}
	sinks["OTLP"] = collector.Received()
	for sink, text := range sinks {
		for value, around := range f.in(text) {
			t.Errorf("%s has %s: …%s…", sink, value, around)
		}
	}
	for sink, want := range map[string][]string{ // Otherwise nothing could be found.
		"the log of serve":         {"level=DEBUG", "request refused", "request failed", "request was slow"},
		"the log of work":          {`"level":"DEBUG"`, `"level":"ERROR"`},
		"OTLP":                     {`"spillway.v1.CheckoutService/PlaceOrder"`, `"app.order.placed"`, `"logRecords"`, `"scopeSpans"`},
		"/metrics of serve":        {"app_order_placed_total"},
		"the list of dead letters": {"order_writer", "mailer"},
	} {
		for _, text := range want {
			if !strings.Contains(sinks[sink], text) {
				t.Errorf("%s has no %s", sink, text)
			}
		}
	}
	t.Logf("%d requests; %d kB of OTLP, %d kB of logs", len(p.sent), len(sinks["OTLP"])>>10, (len(sinks["the log of serve"])+len(sinks["the log of work"]))>>10)
}

// TestCanary_DeadLetterWithAnAddressIsFound is the negative control of the list of dead letters.
func TestCanary_DeadLetterWithAnAddressIsFound(t *testing.T) {
	s := newShop(t, realparts.Redis(t), "spillway-test-1")
	serve := s.serve()
	c := newCanaries("control")
	err := store.NewDeadLetters(s.db()).Put(t.Context(), store.DeadLetter{
		DedupKey: "k", Source: "mailer", OrderID: "O", Reason: "550 <" + c.email + ">: unknown", PayloadType: "t", Payload: []byte("x"), Attempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	list := s.run("dead-letters", "list")
	serve.stop()
	if found := newFinder([]canaries{c}).in(list); found["control: e-mail"] == "" {
		t.Errorf("the address is not found in %s", list)
	}
}

// poison sends two messages of this shop that no worker can process: one whose order is no protobuf message, and one with values that SQL
// refuses.
func (p *prober) poison(topic string) {
	p.t.Helper()
	shop, err := store.NewSettings(p.db()).ShopID(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	var messages []queue.Outgoing
	for _, name := range []string{"unreadable", "refused by SQL"} {
		c := newCanaries(name)
		p.note(c)
		event := c.event(p.t)
		if name == "unreadable" {
			event.Snapshot = append([]byte{0xff}, event.GetSnapshot()...)
		}
		body, err := proto.Marshal(&spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{event}})
		if err != nil {
			p.t.Fatal(err)
		}
		messages = append(messages, queue.Outgoing{Body: body, Headers: map[string]string{queue.ShopHeader: shop}})
	}
	broker, err := rocketmq.New(rocketmq.Config{Endpoint: realparts.RocketMQ(p.t)})
	if err != nil {
		p.t.Fatal(err)
	}
	producer, err := broker.Producer()
	if err == nil {
		err = producer.Send(p.t.Context(), topic, messages...)
	}
	if err := errors.Join(err, broker.Close(context.WithoutCancel(p.t.Context()))); err != nil {
		p.t.Fatal(err)
	}
}

// event is an order that was paid, with a street that is longer than its column.
func (c canaries) event(t testing.TB) *spillwayv1.OrderEvent {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	o := order.Order{
		ID: order.NewID(0, now), CustomerID: "c", Currency: "EUR", Email: c.email, TrackingID: "SPWT", IdempotencyKey: rand.Text(),
		Fingerprint: []byte{1}, Lines: []order.Line{{SKU: "OLJCESPC7Z", Name: "a", Quantity: 1, UnitPrice: 150}}, CreatedAt: now, UpdatedAt: now,
		Address: order.Address{Name: c.name, Street: strings.Repeat(c.street, 100), City: "C", PostalCode: "P", CountryCode: "DE"},
	}
	if err := o.Price(499); err != nil {
		t.Fatal(err)
	}
	m, err := wire.ToEvent(order.Event{Order: o, To: order.Paid, At: now})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// withoutRedis places orders while Redis does not respond.
func (p *prober) withoutRedis(redis *realparts.Proc) {
	p.t.Helper()
	redis.Pause()
	p.twice("Redis does not respond")
	redis.Resume()
}

// withoutTable places orders while a table is missing.
func (p *prober) withoutTable(name string) {
	p.t.Helper()
	db, err := sql.Open("mysql", p.dsn)
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	eventually(p.t, pathTimeout, "orders to be accepted again", func() bool {
		c := newCanaries("Redis is back")
		c.token = p.guest()
		p.note(c)
		response, err := p.place(c, c.order(p.sku))
		return err == nil && strings.Contains(response, paid)
	})
	rename := func(from, to string) {
		if _, err := db.ExecContext(p.t.Context(), "RENAME TABLE "+from+" TO "+to); err != nil {
			p.t.Fatal(err)
		}
	}
	rename(name, name+"_away")
	p.twice("a table is missing")
	rename(name+"_away", name)
}

// twice places two orders, whatever becomes of them.
func (p *prober) twice(situation string) {
	var wg sync.WaitGroup
	for range 2 {
		c := newCanaries(situation)
		c.token = p.mint()
		p.note(c)
		wg.Go(func() {
			response, err := p.place(c, c.order(p.sku))
			if err != nil || strings.Contains(response, paid) {
				p.t.Errorf("%s: %s (%v)", situation, response, err)
			}
		})
	}
	wg.Wait()
}

// mint makes a token without the server.
func (p *prober) mint() string {
	return strings.TrimSpace(p.run("token", "--customer", "guest_"+word()))
}

// refusingMailServer is an SMTP server that quotes the address of each recipient and refuses it. It returns its port.
func refusingMailServer(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go refuseMails(conn)
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// refuseMails speaks SMTP until the client quits.
func refuseMails(conn net.Conn) {
	defer conn.Close()
	reply := "220 test ESMTP"
	for in := bufio.NewScanner(conn); ; {
		if _, err := fmt.Fprintf(conn, "%s\r\n", reply); err != nil || !in.Scan() {
			return
		}
		reply = "250 ok"
		switch line := strings.ToUpper(in.Text()); {
		case strings.HasPrefix(line, "RCPT"):
			reply = "550 5.1.1 " + in.Text() + ": there is no such user"
		case strings.HasPrefix(line, "QUIT"):
			reply = "221 bye"
		}
	}
}
