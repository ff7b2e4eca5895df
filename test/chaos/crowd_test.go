package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

const (
	// crowdConnections bounds the calls of the crowd in progress, and so its connections.
	crowdConnections = 512
	// crowdCustomers are more than the calls in progress: a customer may have two charges under way.
	crowdCustomers = crowdConnections
	// closedCallers is the number of callers that measure the capacity: each sends its next order when it has the response to the last. They are
	// fewer than a server accepts at the start.
	closedCallers = 48
	// offerTick is the time between two looks at what is due.
	offerTick = 2 * time.Millisecond
	// crowdRetries bounds the orders of one burst that are sent again because their outcome is unknown, and crowdRetriers how many at once. The
	// other customers give up.
	crowdRetries  = 200
	crowdRetriers = 4
)

// crowd is customers who order without waiting for each other. Each order is sent once.
type crowd struct {
	*market
	rng          *rand.Rand
	customers    []customer
	capacity     float64 // in orders a second
	sent         atomic.Int64
	acknowledged atomic.Int64
	retrying     sync.WaitGroup
}

// customer is one of the crowd, at one of the shop's servers.
type customer struct {
	who  order.CustomerID
	shop spillwayv1connect.CheckoutServiceClient
}

func newCrowd(m *market) *crowd {
	c := &crowd{market: m, rng: rand.New(rand.NewPCG(m.seed, buyersMax))}
	web, doors := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowdConnections}}, m.doors()
	for n := range crowdCustomers {
		who := auth.NewGuest()
		c.customers = append(c.customers, customer{who, spillwayv1connect.NewCheckoutServiceClient(web, doors[n%len(doors)], m.as(who))})
	}
	return c
}

// outcomes are the responses to a burst.
type outcomes struct {
	mu       sync.Mutex
	length   time.Duration
	taken    []time.Duration // latencies, from when the order was due
	refused  []time.Duration // the same of those that were refused with a retry hint
	unknown  []*attempt      // no response, or one that leaves the outcome open
	notSent  int             // all connections were busy
	rejected int             // responses that a client understands: sold out
}

func (o *outcomes) goodput() float64 { return float64(len(o.taken)) / o.length.Seconds() }

func (o *outcomes) String() string {
	return fmt.Sprintf("%.0f orders taken per second, p99 %s; %d refused, p99 %s; %d unknown, %d not sent",
		o.goodput(), p99(o.taken), len(o.refused), p99(o.refused), len(o.unknown), o.notSent)
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100].Round(time.Millisecond)
}

// atOnce sends orders from a fixed number of callers, which is what the shop can do.
func (c *crowd) atOnce(ctx context.Context, length time.Duration) *outcomes {
	o := &outcomes{length: length}
	ctx, stop := context.WithTimeout(ctx, length)
	defer stop()
	var calling sync.WaitGroup
	for range closedCallers {
		calling.Go(func() {
			for ctx.Err() == nil {
				if !c.order(o, time.Now()) {
					_ = wait(ctx, retryEvery)
				}
			}
		})
	}
	calling.Wait()
	return o
}

// offer sends orders at a rate, whether or not the earlier ones have returned.
func (c *crowd) offer(ctx context.Context, perSecond float64, length time.Duration) *outcomes {
	o := &outcomes{length: length}
	var calling sync.WaitGroup
	places := make(chan struct{}, crowdConnections)
	for begin, n := time.Now(), 0; wait(ctx, offerTick) == nil && time.Since(begin) < length; {
		for ; float64(n) < perSecond*time.Since(begin).Seconds(); n++ {
			due := begin.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
			select {
			case places <- struct{}{}:
				calling.Go(func() { c.order(o, due); <-places })
			default:
				o.notSent++
			}
		}
	}
	calling.Wait()
	c.retry(o.unknown[:min(len(o.unknown), crowdRetries)])
	return o
}

// order sends one, keeps what its customer was told, and returns whether it was taken.
func (c *crowd) order(o *outcomes, due time.Time) bool {
	n := c.sent.Add(1)
	by := c.customers[int(n)%len(c.customers)]
	a := &attempt{
		who: by.who, key: fmt.Sprintf("crowd-%d", n), card: cardGood, began: due,
		lines: []*spillwayv1.Line{{Sku: string(c.products[len(c.products)-1].sku), Quantity: 1}},
	}
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	resp, err := by.shop.PlaceOrder(ctx, placeRequest(a))
	took := time.Since(due)
	a.note("PlaceOrder", outcomeText(resp.GetOrder(), err))
	code := connect.CodeOf(err)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		o.taken = append(o.taken, took)
		c.acknowledge(a, resp.GetOrder())
	case connect.IsWireError(err) && code == connect.CodeResourceExhausted && hasRetryHint(err):
		o.refused = append(o.refused, took)
	case connect.IsWireError(err) && code == connect.CodeFailedPrecondition:
		o.rejected++
	case !connect.IsWireError(err) || isTransient(code) && code != connect.CodeResourceExhausted:
		o.unknown = append(o.unknown, a)
	default:
		c.complain(string(a.who), a, "PlaceOrder got %v", err)
	}
	return err == nil
}

func (c *crowd) acknowledge(a *attempt, placed *spillwayv1.Order) {
	c.acknowledged.Add(1)
	state, err := wire.FromState(placed.GetState())
	if err != nil {
		c.complain(string(a.who), a, "PlaceOrder returned %v", err)
		return
	}
	a.learn(order.ID(placed.GetId()), state)
	c.keep(a)
}

// retry sends the orders again, in the background, until each has a definite response.
func (c *crowd) retry(unknown []*attempt) {
	for n := range crowdRetriers {
		b := &buyer{market: c.market, rng: rand.New(rand.NewPCG(c.seed, uint64(c.sent.Add(1))))}
		c.retrying.Go(func() {
			for i := n; i < len(unknown); i += crowdRetriers {
				a := unknown[i]
				b.checkout = c.customers[slices.IndexFunc(c.customers, func(by customer) bool { return by.who == a.who })].shop
				c.keep(a)
				b.place(a)
			}
		})
	}
}

func hasRetryHint(err error) bool {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return false
	}
	return slices.ContainsFunc(ce.Details(), func(d *connect.ErrorDetail) bool {
		v, err := d.Value()
		info, ok := v.(*errdetails.RetryInfo)
		return err == nil && ok && info.GetRetryDelay().AsDuration() > 0
	})
}

func outcomeText(o *spillwayv1.Order, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("order %s is %s", o.GetId(), o.GetState())
}
