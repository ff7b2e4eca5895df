package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

const (
	parallelWriters  = 4
	parallelShippers = 4
	// parallelBatch is how many orders a message has, and parallelMessages how many messages there are.
	parallelBatch    = 100
	parallelMessages = 20
)

// parallelLoad is what the queue delivers: each message has the last step of its orders, and every third order's reservation is in the
// message before, as if the relay's batch had ended between the two. Ids sort by the time of the order.
func parallelLoad() (messages [][]order.Event, ids []order.ID) {
	messages = make([][]order.Event, parallelMessages)
	for i := range messages {
		for n := range parallelBatch {
			o := anOrder(fmt.Sprint(i, "/", n))
			o.ID = order.NewID(0, at.Add(time.Duration(i*parallelBatch+n)*time.Millisecond))
			ids = append(ids, o.ID)
			messages[i] = append(messages[i], change(o, order.Paid))
			if i > 0 && n%3 == 0 {
				messages[i-1] = append(messages[i-1], change(o, order.Pending))
			}
		}
	}
	return messages, ids
}

// TestOrders_ParallelWritersAndShippers runs several writers and shippers, and cancellations of a tenth of the orders, on one MySQL. No
// transaction is the victim of a deadlock, and every order ends SHIPPED with its claim and shipment, or CANCELLED without them.
func TestOrders_ParallelWritersAndShippers(t *testing.T) {
	db := openDB(t, realparts.StartMySQL(t).MySQL())
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	orders, cancellations := store.NewOrders(db), store.NewCancellations(db)
	messages, ids := parallelLoad()
	toWrite, toShip, toCancel := make(chan []order.Event, len(messages)), make(chan []order.ID, 2*len(messages)), make(chan order.ID, len(ids))
	for _, m := range messages {
		toWrite <- m
	}
	close(toWrite)
	var writers, others sync.WaitGroup
	for range parallelWriters {
		writers.Go(func() {
			for m := range toWrite {
				if _, err := orders.Apply(t.Context(), m); err != nil {
					t.Errorf("write: %v", err)
				}
				var written []order.ID
				for _, c := range m {
					written = append(written, c.Order.ID)
					if len(written)%10 == 0 {
						toCancel <- c.Order.ID
					}
				}
				rand.Shuffle(len(written), func(i, j int) { written[i], written[j] = written[j], written[i] })
				toShip <- written
				toShip <- written // A message that is delivered twice.
			}
		})
	}
	for range parallelShippers {
		others.Go(func() {
			for batch := range toShip {
				shipLikeAShipper(t, orders, batch)
			}
		})
	}
	for range 2 {
		others.Go(func() {
			for id := range toCancel {
				_, err := cancellations.Cancel(t.Context(), id, []order.State{order.Paid, order.ShipFailed}, order.CancelReason{Text: "test"}, "test")
				if err != nil && !errors.Is(err, store.ErrBeingShipped) && !errors.Is(err, order.ErrFailedPrecondition) {
					t.Errorf("cancel: %v", err)
				}
			}
		})
	}
	writers.Wait()
	close(toShip)
	close(toCancel)
	others.Wait()
	shipLikeAShipper(t, orders, ids) // Orders that were PENDING when their first message was shipped.

	count := func(query string) int64 {
		n, err := store.Count(t.Context(), db, query)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count("SELECT COUNT FROM information_schema.innodb_metrics WHERE NAME = 'lock_deadlocks'"); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
	shipped := count("SELECT COUNT(*) FROM orders o JOIN shipments s ON s.order_id = o.id WHERE o.state = 3 AND o.ship_claimed_at IS NOT NULL")
	cancelled := count("SELECT COUNT(*) FROM orders o JOIN order_cancellations c ON c.order_id = o.id WHERE o.state = 2 AND o.ship_claimed_at IS NULL")
	if shipped+cancelled != int64(len(ids)) || shipped != count("SELECT COUNT(*) FROM shipments") || shipped != count("SELECT COUNT(*) FROM due_mails") {
		t.Errorf("%d orders SHIPPED, %d CANCELLED, of %d; %d shipments", shipped, cancelled, len(ids), count("SELECT COUNT(*) FROM shipments"))
	}
	if n := count("SELECT COUNT(*) FROM order_items"); n != int64(2*len(ids)) {
		t.Errorf("%d items; want %d", n, 2*len(ids))
	}
	t.Logf("%d shipped, %d cancelled", shipped, cancelled)
}

// shipLikeAShipper claims the orders, and ships those that it got.
func shipLikeAShipper(t *testing.T, orders *store.Orders, ids []order.ID) {
	t.Helper()
	claims, err := orders.ClaimShipping(t.Context(), ids, lease)
	if err != nil {
		t.Errorf("claim: %v", err)
		return
	}
	var shipments []order.Shipment
	for id, before := range claims.Orders {
		if before {
			t.Errorf("order %s was claimed before", id)
		}
		shipments = append(shipments, order.Shipment{OrderID: id, TrackingID: "T", ShippedAt: time.Now()})
	}
	if refused, err := orders.Ship(t.Context(), shipments); err != nil || len(refused) > 0 {
		t.Errorf("ship: %v refused, %v", refused, err)
	}
}
