package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// newTestAdmission has n places for checkouts.
func newTestAdmission(n int) *Admission {
	return NewAdmission(AdmissionConfig{Limits: map[Class]int{ClassCheckout: n}, Latency: DefaultLatency})
}

// TestOutside_WaitsOfExternalServicesAreNoLoad checks that a call that waits for the payment provider takes no place of its limit and that
// the time is not measured. It goes on afterwards although the limit is reached meanwhile.
func TestOutside_WaitsOfExternalServicesAreNoLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestAdmission(1).byProcedure[placeProcedure]
		begin := func() (*admittedCall, context.Context) {
			call := &admittedCall{limit: p, since: p.now()}
			return call, context.WithValue(t.Context(), admittedKey{}, call)
		}
		if !p.acquire(false) {
			t.Fatal("the first call is refused")
		}
		first, ctx := begin()
		pass(time.Millisecond)
		outside(ctx, func() {
			pass(time.Minute)
			if !p.acquire(false) {
				t.Error("a call beside one that waits for the provider is refused")
			}
		})
		if n := p.InFlight(); n != 2 {
			t.Errorf("%d calls are in progress after the wait; want 2 although the limit is 1", n)
		}
		pass(time.Millisecond)
		first.end(true)
		if first.took != 2*time.Millisecond || p.InFlight() != 1 {
			t.Errorf("the call took %s, and %d are in progress; want 2ms and 1", first.took, p.InFlight())
		}
		outside(ctx, func() {}) // A charge that ends later than its call changes nothing.
		if n := p.InFlight(); n != 1 {
			t.Errorf("after a late charge %d calls are in progress; want 1", n)
		}
	})
}

// TestAdmission_EarlyRefusal compares the refusal before the body is read with that of the interceptor, which a request with unusual escapes in
// its path gets.
func TestAdmission_EarlyRefusal(t *testing.T) {
	var refused []string
	e := startServer(t, allServices(t), func(c *Config) {
		c.Admission = newTestAdmission(0)
		c.Refused = func(_ context.Context, procedure string, err error) {
			refused = append(refused, procedure+" "+resultOf(err))
		}
	})
	token := e.token(t, "c1")
	early, header, body := e.post(t, placeProcedure, token, "{}")
	late, lateHeader, lateBody := e.post(t, strings.Replace(placeProcedure, "PlaceOrder", "Place%4frder", 1), token, "{}")
	if early != http.StatusTooManyRequests || late != early || header.Get("Content-Type") != lateHeader.Get("Content-Type") {
		t.Errorf("refused early with %d %v, and late with %d %v", early, header, late, lateHeader)
	}
	if len(refused) != 1 || refused[0] != placeProcedure+" TOO_MANY_CALLS" {
		t.Errorf("refused before the interceptors: %v", refused)
	}
	for _, text := range []string{body, lateBody} {
		reason, delay := retryOf(t, text)
		if reason != "TOO_MANY_CALLS" || delay < minRetryDelay || delay > maxRetryDelay {
			t.Errorf("%s: reason %s, retry after %s", text, reason, delay)
		}
	}
	if after := header.Get("Retry-After"); after != "1" && after != "2" && after != "3" {
		t.Errorf("Retry-After is %q", after)
	}
}

// retryOf returns the reason and the retry delay of a Connect error.
func retryOf(t *testing.T, body string) (reason string, delay time.Duration) {
	t.Helper()
	var e struct {
		Details []struct{ Type, Value string }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for _, d := range e.Details {
		value, err := base64.RawStdEncoding.DecodeString(d.Value)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(d.Type, "ErrorInfo") {
			var info errdetails.ErrorInfo
			err = proto.Unmarshal(value, &info)
			reason = info.GetReason()
		} else {
			var retry errdetails.RetryInfo
			err = proto.Unmarshal(value, &retry)
			delay = retry.GetRetryDelay().AsDuration()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return reason, delay
}

// TestAdmission_HealthChecksAreNotRefused fills every class.
func TestAdmission_HealthChecksAreNotRefused(t *testing.T) {
	none := map[Class]int{}
	for class := range DefaultLimits() {
		none[class] = 0
	}
	e := startServer(t, allServices(t), func(c *Config) { c.Admission = NewAdmission(AdmissionConfig{Limits: none}) })
	if status, _, body := e.post(t, spillwayv1connect.CatalogServiceListProductsProcedure, "", "{}"); status != http.StatusTooManyRequests {
		t.Errorf("a read: %d %s", status, body)
	}
	for _, path := range []string{"/livez", "/readyz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if status, _, body := e.do(t, req); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := e.post(t, "/grpc.health.v1.Health/Check", "", "{}"); status != http.StatusOK {
		t.Errorf("the health check: %d %s", status, body)
	}
}

// jsonOf is the body of a request.
func jsonOf(t *testing.T, m proto.Message) string {
	t.Helper()
	body, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestPlaceOrder_SlowCardsLeaveThePlacesOfCheckouts has one place for checkouts, and a charge that hangs. Orders without a card are placed.
func TestPlaceOrder_SlowCardsLeaveThePlacesOfCheckouts(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		entered, leave := make(chan struct{}), make(chan struct{})
		s.provider.During = func() { close(entered); <-leave }
		s.payment.Provider = OutsideLimits(s.provider)
		e := startServer(t, Services{Checkout: s.checkout}, func(c *Config) { c.Admission = newTestAdmission(1) })
		done := make(chan string, 1)
		slow, later := jsonOf(t, placeRequest("slow", goodCard)), jsonOf(t, placeRequest("later", ""))
		go func() {
			_, _, body := e.post(t, placeProcedure, e.token(t, "c1"), slow)
			done <- body
		}()
		await(t, "the charge", entered)
		if status, _, body := e.post(t, placeProcedure, e.token(t, "c2"), later); status != http.StatusOK {
			t.Errorf("beside a slow card: %d %s", status, body)
		}
		close(leave)
		if body := await(t, "the slow order", done); !strings.Contains(body, spillwayv1.OrderState_ORDER_STATE_PAID.String()) {
			t.Errorf("the order with the slow card: %s", body)
		}
	})
}
