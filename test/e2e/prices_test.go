package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// expecting adds the total that the customer agreed to.
func expecting(body, units, nanos string) string {
	return strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"expectedTotal":{"currencyCode":"EUR","units":%q,"nanos":%s}}`, units, nanos)
}

// TestPayOrder_AnotherCardAfterADecline, until the order expires.
func TestPayOrder_AnotherCardAfterADecline(t *testing.T) {
	const payWithin = 6 * time.Second
	s := embedded(t, append([]string{"--pay-within", payWithin.String()}, quickly...)...)
	token, sku := s.guest(), s.product(50)
	// declines places an order and has its card declined so many times, each while there is time to pay it.
	declines := func(key string, quantity, times int) (id string) {
		began := time.Now()
		id = s.must("CheckoutService/PlaceOrder", token, payLater(sku, quantity), "Idempotency-Key", key).Order.ID
		for range times {
			r, err := s.definite("CheckoutService/PayOrder", token, payBody(id, "4000000000009995"))
			o := s.must("OrderService/GetOrder", token, fmt.Sprintf(`{"orderId":%q}`, id))
			if time.Since(began) >= payWithin { // A busy machine.
				return id
			}
			if err != nil || r.Code != "failed_precondition" || !strings.Contains(r.Raw, "generic_decline") || strings.Contains(r.Raw, "insufficient") ||
				!strings.Contains(r.Raw, "expireTime") {
				t.Errorf("a declined card: %s (%v)", r.Raw, err)
			}
			if o.Order.State != "ORDER_STATE_PENDING" {
				t.Fatalf("after the decline: %s", o.Raw)
			}
		}
		return id
	}
	expires := declines("expires", 1, 1)
	paid := s.inTime(payWithin, func(try int) (id string, paid bool) {
		id = declines(fmt.Sprint("paid-", try), 2, 2)
		r, err := s.definite("CheckoutService/PayOrder", token, payBody(id, goodCard))
		if err != nil || r.Status != http.StatusOK && r.Code != "failed_precondition" {
			t.Errorf("another card: %s (%v)", r.Raw, err)
		}
		return id, r.Status == http.StatusOK
	})
	s.inSQL(paid, order.Shipped)
	if o := s.inSQL(expires, order.Cancelled); o.CancelReason.Text != "expired" {
		t.Errorf("it was cancelled because %q", o.CancelReason)
	}
	s.stockIs(sku, 48)
	if r, err := s.definite("CheckoutService/PayOrder", token, payBody(expires, goodCard)); err != nil || r.Code != "failed_precondition" {
		t.Errorf("paying an expired order: %s (%v)", r.Raw, err)
	}
	operator := s.operator()
	s.eventually(startTimeout, "the audit to pass", func() bool {
		r, err := s.call("AuditService/RunAudit", operator, `{"drained":true}`)
		return err == nil && strings.Contains(strings.ReplaceAll(r.Raw, " ", ""), `"ok":true`)
	})
}

// TestPlaceOrder_QuotedTotalIsCharged, or the order is refused.
func TestPlaceOrder_QuotedTotalIsCharged(t *testing.T) {
	s := embedded(t)
	token, sku := s.guest(), s.product(5)
	s.must("CartService/AddItem", token, fmt.Sprintf(`{"sku":%q,"quantity":2}`, sku))
	fromCart := `{` + strings.SplitN(orderBody(sku, 2, goodCard), "],", 2)[1]
	r, err := s.definite("CheckoutService/PlaceOrder", token, expecting(fromCart, "999", "990000000"), "Idempotency-Key", "k")
	if err != nil || r.Code != "failed_precondition" || !strings.Contains(r.Raw, "PriceChanged") {
		t.Fatalf("another total: %s (%v)", r.Raw, err)
	}
	if cart := s.must("CartService/GetCart", token, "{}"); !strings.Contains(cart.Raw, sku) {
		t.Errorf("the cart was emptied: %s", cart.Raw)
	}
	quote := s.must(
		"CheckoutService/Quote",
		token,
		`{"currencyCode":"EUR",`+strings.SplitN(strings.SplitN(fromCart, `"email":"a@example.com",`, 2)[1], `,"card"`, 2)[0]+"}",
	)
	total := strings.ReplaceAll(quote.Raw[strings.LastIndex(quote.Raw, `"total"`)+len(`"total":`):], " ", "")
	body := strings.TrimSuffix(fromCart, "}") + `,"expectedTotal":` + strings.TrimSuffix(total, "}") + "}"
	s.mustPay(token, body, "k")
}

// TestRates_File is read at the start, and refused there when it is too old or not valid.
func TestRates_File(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rates.csv")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, text := range map[string]string{
		"older than 168h0m0s":      "base,EUR\ndate,2025-10-21\nUSD,2\n",
		"line 3: USD has the rate": "base,EUR\ndate,2025-10-21\nUSD,NaN\n",
	} {
		write(text)
		out, err := exec.Command(binary, "all", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--rates", path).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "--rates") || !strings.Contains(string(out), want) {
			t.Errorf("started with %q: %v\n%s", text, err, out)
		}
	}
	day := time.Now().UTC().Format(time.DateOnly)
	write("base,EUR\ndate," + day + "\nUSD,2\n")
	s := embedded(t, "--rates", path)
	listed := strings.ReplaceAll(s.must("CurrencyService/GetSupportedCurrencies", "", "{}").Raw, " ", "")
	if !strings.Contains(listed, `"currencyCodes":["EUR","USD"]`) || !strings.Contains(listed, day) || !strings.Contains(listed, "rateExpireTime") {
		t.Errorf("currencies: %s", listed)
	}
	converted := s.must("CurrencyService/Convert", "", `{"from":{"currencyCode":"EUR","units":"1"},"toCode":"USD"}`)
	if !strings.Contains(strings.ReplaceAll(converted.Raw, " ", ""), `"units":"2"`) {
		t.Errorf("1 EUR: %s", converted.Raw)
	}
}
