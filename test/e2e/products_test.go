package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillway/spillway/order"
)

// TestProducts_SecondStartLeavesThemAlone: what was archived, changed or deleted does not come back.
func TestProducts_SecondStartLeavesThemAlone(t *testing.T) {
	s := embedded(t)
	op, token := s.operator(), s.guest()
	placed := s.must("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k")
	s.must("CatalogService/UpdateProduct", op, fmt.Sprintf(`{"product":{"sku":%q,"archived":true},"updateMask":"archived"}`, hotSKU))
	s.must("CatalogService/UpdateProduct", op, `{"product":{"sku":"6E92ZMYYFZ","name":"Another Name"},"updateMask":"name"}`)
	s.inSQL(placed.Order.ID, order.Shipped) // Nothing is on its way when the shop stops.
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.start()
	list := s.must("CatalogService/ListProducts", "", `{"pageSize":50}`)
	if strings.Contains(list.Raw, hotSKU) || !strings.Contains(list.Raw, "Another Name") {
		t.Errorf("products after the second start: %s", list.Raw)
	}
	if all := s.must("CatalogService/ListProducts", op, `{"pageSize":50,"includeArchived":true}`); !strings.Contains(all.Raw, hotSKU) {
		t.Errorf("products including archived ones: %s", all.Raw)
	}
	if p := s.must("CatalogService/GetProduct", "", fmt.Sprintf(`{"sku":%q}`, hotSKU)); !strings.Contains(strings.ReplaceAll(p.Raw, " ", ""), `"archived":true`) {
		t.Errorf("the archived product: %s", p.Raw)
	}
	if r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k2"); err != nil ||
		r.Code != "failed_precondition" ||
		!strings.Contains(r.Text, "archived") {
		t.Errorf("ordering an archived product: %s (%v)", r.Raw, err)
	}
	if r := s.must("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k"); r.Order.ID != placed.Order.ID {
		t.Errorf("the retry got %s, not %s", r.Order.ID, placed.Order.ID)
	}
}

// TestToken_WithoutAKey mints nothing, and makes neither a key nor a folder.
func TestToken_WithoutAKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	cmd := exec.Command(binary, "token", "--customer", "op", "--role", "operator", "--data-dir", dir)
	cmd.Env = append(os.Environ(), "SPILLWAY_AUTH_KEY=")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "has no dev key") {
		t.Errorf("minted: %s (%v)", out, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is there: %v", err)
	}
}

// TestCancelOrder_ByAnOperator is not said to be by the customer.
func TestCancelOrder_ByAnOperator(t *testing.T) {
	s := embedded(t, quickly...)
	id := s.must("CheckoutService/PlaceOrder", s.guest(), payLater(s.product(5), 2), "Idempotency-Key", "k").Order.ID
	r, err := s.definite("OrderService/CancelOrder", s.operator(), fmt.Sprintf(`{"orderId":%q,"reason":"out of glue"}`, id))
	if err != nil || r.Status != http.StatusOK {
		t.Fatalf("cancel: %s (%v)", r.Raw, err)
	}
	if o := s.inSQL(id, order.Cancelled); o.CancelReason.Text != "by the shop: out of glue" {
		t.Errorf("cancelled because %q", o.CancelReason)
	}
	s.eventually(startTimeout, "the reason to be readable", func() bool {
		r := s.must("OrderService/GetOrder", s.operator(), fmt.Sprintf(`{"orderId":%q}`, id))
		return strings.Contains(r.Raw, "by the shop")
	})
}
