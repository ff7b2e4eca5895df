package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// probes is one cheap call of each class.
var probes = map[Class]struct{ procedure, body string }{
	ClassCheckout: {
		spillwayv1connect.CheckoutServicePayOrderProcedure,
		`{"orderId":"O","card":{"number":"4242424242424242","cvv":"123","expiryYear":2030,"expiryMonth":1}}`,
	},
	ClassBrowse:  {spillwayv1connect.CatalogServiceListProductsProcedure, `{}`},
	ClassSearch:  {spillwayv1connect.CatalogServiceSearchProductsProcedure, `{"query":"mug"}`},
	ClassOperate: {spillwayv1connect.DeadLetterServiceListDeadLettersProcedure, `{}`},
}

func TestClassOf_EveryClassHasItsProcedures(t *testing.T) {
	for class, probe := range probes {
		if got := classOf(probe.procedure); got != class {
			t.Errorf("%s belongs to %q; want %q", probe.procedure, got, class)
		}
	}
	for class := range DefaultLimits() {
		if _, ok := probes[class]; !ok {
			t.Errorf("class %q has a limit and no procedure here", class)
		}
	}
	for procedure := range permissions {
		if _, ok := DefaultLimits()[classOf(procedure)]; !ok {
			t.Errorf("%s belongs to %q, which has no limit", procedure, classOf(procedure))
		}
	}
}

// fakeBlockedServices has handlers of every class. Those of one class do not return until leave is closed, and send on entered when they
// are called.
type fakeBlockedServices struct {
	class          Class
	entered, leave chan struct{}
}

func (b fakeBlockedServices) serve(class Class) error {
	if class == b.class {
		b.entered <- struct{}{}
		<-b.leave
	}
	return nil
}

type (
	blockedCheckout struct {
		spillwayv1connect.UnimplementedCheckoutServiceHandler
		fakeBlockedServices
	}
	blockedCatalog struct {
		spillwayv1connect.UnimplementedCatalogServiceHandler
		fakeBlockedServices
	}
	blockedDeadLetters struct {
		spillwayv1connect.UnimplementedDeadLetterServiceHandler
		fakeBlockedServices
	}
)

func (b blockedCheckout) PayOrder(context.Context, *spillwayv1.PayOrderRequest) (*spillwayv1.PayOrderResponse, error) {
	return &spillwayv1.PayOrderResponse{}, b.serve(ClassCheckout)
}

func (b blockedCatalog) ListProducts(context.Context, *spillwayv1.ListProductsRequest) (*spillwayv1.ListProductsResponse, error) {
	return &spillwayv1.ListProductsResponse{}, b.serve(ClassBrowse)
}

func (b blockedCatalog) SearchProducts(context.Context, *spillwayv1.SearchProductsRequest) (*spillwayv1.SearchProductsResponse, error) {
	return &spillwayv1.SearchProductsResponse{}, b.serve(ClassSearch)
}

func (b blockedDeadLetters) ListDeadLetters(context.Context, *spillwayv1.ListDeadLettersRequest) (*spillwayv1.ListDeadLettersResponse, error) {
	return &spillwayv1.ListDeadLettersResponse{}, b.serve(ClassOperate)
}

// TestLimit_FullClassLeavesTheOthersAlone fills each class in turn with calls that do not end. One more of it is refused at once, and every
// other class is served.
func TestLimit_FullClassLeavesTheOthersAlone(t *testing.T) {
	const places = 3
	for full := range probes {
		t.Run(string(full), func(t *testing.T) {
			b := fakeBlockedServices{class: full, entered: make(chan struct{}, places), leave: make(chan struct{})}
			e := startServer(t, Services{
				Checkout: blockedCheckout{fakeBlockedServices: b}, Catalog: blockedCatalog{fakeBlockedServices: b},
				DeadLetters: blockedDeadLetters{fakeBlockedServices: b},
			}, func(c *Config) { c.Admission = NewAdmission(AdmissionConfig{Limits: map[Class]int{full: places}}) })
			token := e.token(t, "op", auth.Operator)
			done := make(chan struct{}, places)
			for range places {
				go func() {
					defer func() { done <- struct{}{} }()
					e.post(t, probes[full].procedure, token, probes[full].body)
				}()
			}
			for range places {
				<-b.entered
			}
			for class, probe := range probes {
				status, header, body := e.post(t, probe.procedure, token, probe.body)
				refused := status == http.StatusTooManyRequests && strings.Contains(body, "resource_exhausted") && header.Get("Retry-After") != ""
				if refused != (class == full) || !refused && status != http.StatusOK {
					t.Errorf("while %s are full, %s: %d %s", full, class, status, body)
				}
			}
			close(b.leave)
			for range places {
				<-done
			}
		})
	}
}

// TestCheckout_SlowCardsHaveTheirOwnBound: more charges than may be under way are refused before stock is reserved, and the order of a retry
// that comes later is charged once.
func TestCheckout_SlowCardsHaveTheirOwnBound(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		entered, leave := make(chan struct{}), make(chan struct{})
		s.provider.During = func() { close(entered); <-leave }
		s.checkout.Paying = NewChargeSlots(1)
		later := s.place(t, "later", "")
		first := make(chan error, 1)
		go func() {
			_, err := s.checkout.PlaceOrder(as(context.WithoutCancel(t.Context()), "c1"), placeRequest("slow", goodCard))
			first <- err
		}()
		<-entered
		var retry *order.RetryError
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c2"), placeRequest("k2", goodCard)); !errors.Is(err, order.ErrOverloaded) || !errors.As(err, &retry) {
			t.Errorf("place beside a slow card: %v; want busy with a hint", err)
		}
		if n := s.left(t); n != 98 {
			t.Errorf("%d units are left; want 98: a refused order took some", n)
		}
		pay := &spillwayv1.PayOrderRequest{OrderId: later.GetId(), Card: testCard(goodCard)}
		if _, err := s.checkout.PayOrder(as(t.Context(), "c1"), pay); !errors.Is(err, order.ErrOverloaded) {
			t.Errorf("pay beside a slow card: %v; want busy", err)
		}
		close(leave)
		if err := <-first; err != nil {
			t.Errorf("the slow card: %v", err)
		}
		s.provider.During = nil
		if paid, err := s.checkout.PayOrder(as(t.Context(), "c1"), pay); err != nil || paid.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
			t.Errorf("pay after the slow card: %v, %v", paid, err)
		}
	})
}
