package e2e

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	hs "github.com/spillway/spillway/gen/hipstershop"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// ordersOf counts the orders of the user in SQL that are not cancelled.
func (b *boutique) ordersOf(user string) (n int) {
	b.t.Helper()
	found, err := store.NewOrders(b.db()).ListByCustomer(b.t.Context(), order.CustomerID("boutique:"+user), store.ListOptions{Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range found {
		if o.State != order.Cancelled {
			n++
		}
	}
	return n
}

// hasOrders waits until the user has so many orders in SQL.
func (b *boutique) hasOrders(user string, want int) {
	b.t.Helper()
	b.eventually(startTimeout, "the orders of the user in SQL", func() bool { return b.ordersOf(user) == want })
}

// mustOrder places an order that must be accepted.
func (b *boutique) mustOrder(t *testing.T, req *hs.PlaceOrderRequest) string {
	t.Helper()
	resp := &hs.PlaceOrderResponse{}
	if err := b.insist("CheckoutService/PlaceOrder", req, resp); err != nil {
		t.Fatalf("place an order: %v", err)
	}
	return resp.GetOrder().GetOrderId()
}

// TestBoutique_OneCartIsOneOrder follows the cart of one user: docs/design/online-boutique.md.
func TestBoutique_OneCartIsOneOrder(t *testing.T) {
	onEachStorage(t, func(t *testing.T, b *boutique) {
		user, sku := newUser(), b.product(100)
		b.fill(user, sku, 2)
		first := b.mustOrder(t, orderOf(user))
		if again := b.mustOrder(t, orderOf(user)); again != first {
			t.Errorf("the retry of an order with a lost response made %s, not %s", again, first)
		}
		elsewhere := orderOf(user)
		elsewhere.Address.StreetAddress = "Another Street 2"
		if _, err := b.order(elsewhere); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("the ordered cart with another address: %v; want failed_precondition", err)
		}
		b.fill(user, sku, 2)
		second := b.mustOrder(t, orderOf(user))
		if second == first {
			t.Error("the cart was filled again and its order is the old one")
		}
		declined := orderOf(user)
		declined.CreditCard.CreditCardNumber = "4000000000009995"
		b.fill(user, sku, 1)
		for range 2 {
			if _, err := b.order(declined); status.Code(err) != codes.InvalidArgument {
				t.Errorf("a card without money: %v; want invalid_argument", err)
			}
		}
		third := b.mustOrder(t, orderOf(user))
		if third == second || third == first {
			t.Errorf("after a declined card: %s is an older order", third)
		}
		b.hasOrders(user, 3)
	})
}

// TestBoutique_ConcurrentOrders checks that 50 calls for one cart, on two processes of one shop, make one order.
func TestBoutique_ConcurrentOrders(t *testing.T) {
	t.Parallel()
	redis, dsn := realparts.Redis(t), database(t)
	namespace := "e2e-" + newUser()
	start := func(more ...string) *shop {
		return newShop(t, dsn, append([]string{"--data-dir", t.TempDir(), "--mysql", dsn, "--redis", redis, "--redis-namespace", namespace}, more...))
	}
	one, two := withBoutique(t, start), withBoutique(t, start)
	user, sku := newUser(), one.product(1000)
	one.fill(user, sku, 1)
	ids := oneOrder(t, []*boutique{one, two}, user, 50)
	if len(ids) != 1 {
		t.Errorf("50 calls got the orders %v, want one", ids)
	}
	one.hasOrders(user, 1)
}

// oneOrder makes n calls at once, each until it gets an order, and returns the ids of the orders.
func oneOrder(t *testing.T, at []*boutique, user string, n int) []string {
	t.Helper()
	ids := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
				o, err := at[i%len(at)].order(orderOf(user))
				if ids[i] = o.GetOrderId(); err == nil {
					return
				}
				if code := status.Code(err); code != codes.ResourceExhausted && code != codes.Unavailable && code != codes.Aborted {
					t.Errorf("call %d: %v", i, err)
					return
				}
				<-time.After(100 * time.Millisecond)
			}
			t.Errorf("call %d got no order", i)
		})
	}
	wg.Wait()
	slices.Sort(ids)
	return slices.Compact(ids)
}

// TestBoutique_LostResponses kills the shop while users place orders: their retries get the orders that were made.
func TestBoutique_LostResponses(t *testing.T) {
	t.Parallel()
	b := withBoutique(t, func(more ...string) *shop { return onRealParts(t, realparts.Redis(t), more...) })
	sku := b.product(1000)
	users := make([]string, 20)
	for i := range users {
		users[i] = newUser()
		b.fill(users[i], sku, 1)
	}
	var wg sync.WaitGroup
	for _, user := range users {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = b.conn.Invoke(ctx, "/hipstershop.CheckoutService/PlaceOrder", orderOf(user), &hs.PlaceOrderResponse{}) // The shop dies meanwhile.
		})
	}
	b.eventually(startTimeout, "a first order", func() bool {
		return slices.ContainsFunc(users, func(user string) bool { return b.ordersOf(user) > 0 })
	})
	b.kill()
	wg.Wait()
	b.start()
	b.reconnect(t)
	for _, user := range users {
		wg.Go(func() {
			if ids := oneOrder(t, []*boutique{b}, user, 2); len(ids) != 1 {
				t.Errorf("two retries got the orders %v, want one", ids)
			}
		})
	}
	wg.Wait()
	for _, user := range users {
		b.hasOrders(user, 1)
	}
	operator := b.operator()
	b.eventually(drainTime, "the books to close", func() bool {
		r, err := b.call("AuditService/RunAudit", operator, `{"drained":true}`)
		return err == nil && strings.Contains(strings.ReplaceAll(r.Raw, " ", ""), `"ok":true`)
	})
}

// reconnect replaces the connection, whose backoff has grown while the shop was down.
func (b *boutique) reconnect(t *testing.T) {
	t.Helper()
	conn, err := grpc.NewClient(b.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	b.conn = conn
}

// TestBoutique_UnconfirmedPayment checks an order with a payment that the provider did not confirm: it is not placed twice, whatever card comes next.
func TestBoutique_UnconfirmedPayment(t *testing.T) {
	t.Parallel()
	b := withBoutique(t, func(more ...string) *shop { return embedded(t, more...) })
	user, sku := newUser(), b.product(100)
	b.fill(user, sku, 1)
	lost := orderOf(user)
	lost.CreditCard.CreditCardNumber = "4000000000000341" // Charged, and the response is lost.
	if _, err := b.order(lost); status.Code(err) != codes.Unavailable {
		t.Fatalf("a payment without a response: %v; want unavailable", err)
	}
	b.fill(user, sku, 1)
	if _, err := b.order(orderOf(user)); status.Code(err) != codes.Aborted {
		t.Errorf("the changed cart, while its first order is not settled: %v; want aborted", err)
	}
	b.hasOrders(user, 1)

	other := newUser()
	b.fill(other, sku, 1)
	again := proto.CloneOf(lost)
	again.UserId = other
	if _, err := b.order(again); status.Code(err) != codes.Unavailable {
		t.Fatalf("a payment without a response: %v; want unavailable", err)
	}
	first := b.mustOrder(t, orderOf(other))
	if second := b.mustOrder(t, orderOf(other)); second != first {
		t.Errorf("retries made the orders %s and %s", first, second)
	}
	b.hasOrders(other, 1)
}
