package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestAPI_MalformedRequestsGetClearErrors sends what no shop expects and looks at code and text of the answer.
func TestAPI_MalformedRequestsGetClearErrors(t *testing.T) {
	s := embedded(t)
	token, theirs := s.guest(), s.guest()
	placed := s.must("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "used")
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "spillway", "sub": "x", "exp": time.Now().Add(time.Hour).Unix()}).
		SignedString([]byte(strings.Repeat("?", 32)))
	if err != nil {
		t.Fatal(err)
	}
	expired, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "spillway", "sub": "x", "exp": time.Now().Add(-time.Hour).Unix()}).
		SignedString([]byte(authKey))
	if err != nil {
		t.Fatal(err)
	}
	body := orderBody(hotSKU, 1, goodCard)
	quantity := func(n string) string { return strings.Replace(body, `"quantity":1`, `"quantity":`+n, 1) }
	beforeCard, _, _ := strings.Cut(body, `,"card"`)
	const place, get = "CheckoutService/PlaceOrder", "OrderService/GetOrder"
	key := []string{"Idempotency-Key", "fresh"}
	for name, c := range map[string]struct {
		procedure, token, body string
		headers                []string
		code, text             string
	}{
		"unknown SKU":            {place, token, orderBody("NOSUCHSKU", 1, goodCard), key, "not_found", "NOSUCHSKU"},
		"quantity 0":             {place, token, quantity("0"), key, "invalid_argument", "quantity"},
		"quantity -1":            {place, token, quantity("-1"), key, "invalid_argument", "quantity"},
		"quantity 10^9":          {place, token, quantity("1000000000"), key, "invalid_argument", "quantity"},
		"quantity no int32":      {place, token, quantity("1e99"), key, "invalid_argument", "quantity"},
		"one SKU over the limit": {place, token, strings.Replace(body, `"lines":[`, `"lines":[{"sku":"OLJCESPC7Z","quantity":1000},`, 1), key, "invalid_argument", "1000"},
		"empty cart":             {place, token, strings.Replace(body, `"lines":[{"sku":"OLJCESPC7Z","quantity":1}],`, "", 1), key, "failed_precondition", "cart is empty"},
		"bad card":               {place, token, orderBody(hotSKU, 1, "4242"), key, "invalid_argument", "card.number"},
		"an empty card":          {place, token, beforeCard + `,"card":{}}`, key, "invalid_argument", "card.number"},
		"bad currency":           {place, token, strings.Replace(body, "EUR", "euro", 1), key, "invalid_argument", "currencyCode"},
		"unknown currency":       {place, token, strings.Replace(body, "EUR", "XXX", 1), key, "invalid_argument", "XXX"},
		"bad email":              {place, token, strings.Replace(body, "a@example.com", "nobody", 1), key, "invalid_argument", "email"},
		"bad country":            {place, token, strings.Replace(body, `"DE"`, `"Germany"`, 1), key, "invalid_argument", "countryCode"},
		"no idempotency key":     {place, token, body, nil, "invalid_argument", "Idempotency-Key"},
		"bad idempotency key":    {place, token, body, []string{"Idempotency-Key", strings.Repeat("x", 129)}, "invalid_argument", "128"},
		"a key reused":           {place, token, quantity("2"), []string{"Idempotency-Key", "used"}, "already_exists", "idempotency key"},
		"body over the limit":    {place, token, strings.Replace(body, `"A"`, `"`+strings.Repeat("A", 70_000)+`"`, 1), key, "invalid_argument", "65536"},
		"unknown field":          {place, token, strings.Replace(body, `"email"`, `"emial"`, 1), key, "invalid_argument", "emial"},
		"no JSON":                {place, token, `{"lines":`, key, "invalid_argument", "JSON"},
		"no body":                {place, token, "", key, "invalid_argument", "empty"},
		"no token":               {place, "", body, key, "unauthenticated", "StartGuestSession"},
		"a forged token":         {place, forged, body, key, "unauthenticated", "not signed"},
		"an expired token":       {place, expired, body, key, "unauthenticated", "expired"},
		"no operator":            {"CatalogService/AdjustStock", token, `{"sku":"OLJCESPC7Z","delta":"1","reason":"r","adjustmentId":"a"}`, nil, "permission_denied", "operator"},
		"refunding oneself":      {"OrderService/RefundOrder", token, fmt.Sprintf(`{"orderId":%q,"reason":"r"}`, placed.Order.ID), key, "permission_denied", "operator"},
		"shipping oneself":       {"ShippingService/ShipOrder", s.operator(), fmt.Sprintf(`{"orderId":%q}`, placed.Order.ID), nil, "unimplemented", "internal"},
		"another's order":        {get, theirs, fmt.Sprintf(`{"orderId":%q}`, placed.Order.ID), nil, "not_found", placed.Order.ID},
		"no order id":            {get, token, `{"orderId":"x"}`, nil, "not_found", "no order"},
		"another's shipment":     {"ShippingService/GetShipment", theirs, fmt.Sprintf(`{"orderId":%q}`, placed.Order.ID), nil, "not_found", placed.Order.ID},
		"bad page token":         {"CatalogService/ListProducts", "", `{"pageToken":"xyz"}`, nil, "invalid_argument", "pageToken"},
		"adjusting by 0":         {"CatalogService/AdjustStock", s.operator(), `{"sku":"OLJCESPC7Z","delta":"0","reason":"r","adjustmentId":"a"}`, nil, "invalid_argument", "delta"},
		"taking what is sold":    {"CatalogService/AdjustStock", s.operator(), `{"sku":"OLJCESPC7Z","delta":"-100000","reason":"r","adjustmentId":"a"}`, nil, "failed_precondition", "4999 left"},
		"a wrong content type":   {place, token, body, append([]string{"Content-Type", "text/plain"}, key...), "invalid_argument", "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := s.definite(c.procedure, c.token, c.body, c.headers...)
			if err != nil || r.Code != c.code || !strings.Contains(r.Raw, c.text) {
				t.Errorf("answered %d %s (%v); want %s with %q", r.Status, r.Raw, err, c.code, c.text)
			}
			if strings.Contains(r.Raw, goodCard) {
				t.Errorf("the answer quotes the card: %s", r.Raw)
			}
		})
	}
	if r := s.must("CatalogService/GetProduct", "", `{"sku":"OLJCESPC7Z"}`); !strings.Contains(strings.ReplaceAll(r.Raw, " ", ""), `"available":"4999"`) {
		t.Errorf("nonsense took stock: %s", r.Raw)
	}
}

// TestPlaceOrder_SoldOutNamesWhatIsLeft looks at the details of the error.
func TestPlaceOrder_SoldOutNamesWhatIsLeft(t *testing.T) {
	s := embedded(t)
	sku := s.product(1)
	r, err := s.definite("CheckoutService/PlaceOrder", s.guest(), orderBody(sku, 2, goodCard), "Idempotency-Key", "k")
	if err != nil || r.Code != "failed_precondition" || !strings.Contains(r.Raw, "spillway.v1.SoldOut") || !strings.Contains(r.Raw, sku+": 2 asked for, 1 left") {
		t.Errorf("answered %s (%v)", r.Raw, err)
	}
}

// TestAdjustStock_OncePerKey sends an adjustment twice and buys what it added.
func TestAdjustStock_OncePerKey(t *testing.T) {
	s := embedded(t)
	sku := s.product(1)
	for range 2 {
		r := s.must("CatalogService/AdjustStock", s.operator(), fmt.Sprintf(`{"sku":%q,"delta":"4","reason":"delivery","adjustmentId":"d1"}`, sku))
		if !strings.Contains(strings.ReplaceAll(r.Raw, " ", ""), `"available":"5"`) {
			t.Errorf("adjusted: %s", r.Raw)
		}
	}
	s.must("CheckoutService/PlaceOrder", s.guest(), orderBody(sku, 5, goodCard), "Idempotency-Key", "k")
}

// TestStart_MissingDependencyIsNamed names the dependency and what to do.
func TestStart_MissingDependencyIsNamed(t *testing.T) {
	nowhere := "127.0.0.1:1"
	redis := realparts.StartRedis(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no MySQL":      {[]string{"--mysql", "root:secret@tcp(" + nowhere + ")/x", "--redis", redis.Addr()}, "does not answer"},
		"not migrated":  {[]string{"--mysql", realparts.MySQL(t), "--redis", redis.Addr()}, "spillway migrate up"},
		"bad DSN":       {[]string{"--mysql", "root:secret@nonsense", "--redis", redis.Addr()}, "USER:PASSWORD@tcp(HOST:PORT)/DATABASE"},
		"bad addresses": {[]string{"--redis", "nonsense", "--listen", "nonsense", "--customer-orders", "-1"}, "--customer-orders"},
		"serve alone":   {[]string{"serve"}, "spillway all"},
		"bad defects":   {[]string{"--simulate-queue-drop", "orders", "--simulate-provider-flap", "1s"}, "orders:5"},
		"bad flag":      {[]string{"--nonsense"}, "--help"},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if args[0] != "serve" {
				args = append([]string{"all", "--data-dir", t.TempDir()}, args...)
			}
			cmd := command(t, binary, args...)
			cmd.Env = append(cmd.Environ(), "SPILLWAY_AUTH_KEY="+authKey, "SPILLWAY_DATA_DIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "secret") {
				t.Errorf("spillway %v: %v\n%s\nwant %q and no password", args, err, out, c.want)
			}
		})
	}
}

// TestStart_RedisComesLater: the shop is not ready, refuses orders with a retry hint, and recovers by itself.
func TestStart_RedisComesLater(t *testing.T) {
	redis := realparts.StartRedis(t)
	s := onRealParts(t, redis.Addr())
	redis.Kill9()
	s.kill()
	s.startWithoutWaiting()
	s.eventually(startTimeout, "an answer", func() bool {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	r, err := s.call("CheckoutService/PlaceOrder", s.guest(), orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k")
	if err != nil || r.Code != "unavailable" || r.Header.Get("Retry-After") == "" {
		t.Errorf("answered %s %v (%v); want unavailable with a time to wait", r.Raw, r.Header, err)
	}
	redis.Restart()
	s.ready()
	s.must("CheckoutService/PlaceOrder", s.guest(), orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k")
}

// TestStart_EvictingRedisIsRefused at start, with what to change.
func TestStart_EvictingRedisIsRefused(t *testing.T) {
	redis := realparts.StartRedis(t)
	if out, err := command(t, "redis-cli", "-p", strings.TrimPrefix(redis.Addr(), "127.0.0.1:"), "config", "set", "maxmemory-policy", "allkeys-lru").CombinedOutput(); err != nil {
		t.Fatalf("redis-cli: %v %s", err, out)
	}
	cmd := command(t, binary, "all", "--data-dir", t.TempDir(), "--redis", redis.Addr())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "noeviction") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestStart_SecondShopOnOneDataDirIsRefused of the first one's data directory and of its port, and the first one goes on as if nothing had been.
func TestStart_SecondShopOnOneDataDirIsRefused(t *testing.T) {
	s := embedded(t)
	dir := strings.TrimSuffix(strings.TrimPrefix(s.dsn, "sqlite:"), "/spillway.db")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"its data directory": {[]string{"all", "--listen", "127.0.0.1:0", "--data-dir", dir}, "another `spillway all` is running in --data-dir"},
		"its port":           {[]string{"all", "--listen", strings.TrimPrefix(s.url, "http://"), "--data-dir", t.TempDir()}, "address already in use"},
	} {
		out, err := command(t, binary, c.args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("a second shop on %s: %v, %s; want %q", name, err, out, c.want)
		}
	}
	token := s.guest()
	s.must("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k")
	e, err := store.NewStock(s.db()).OpenEpoch(t.Context(), 0)
	if err != nil || e.Number != 1 {
		t.Errorf("epoch %d is open (%v); want the first one", e.Number, err)
	}
	// A kill leaves no lock behind.
	s.kill()
	s.start()
	s.mustPay(token, orderBody(hotSKU, 1, goodCard), "k2")
}

// TestStart_SecondEmbeddedRedisOnOneDatabaseIsRefused the first one's MySQL, whatever its data directory.
func TestStart_SecondEmbeddedRedisOnOneDatabaseIsRefused(t *testing.T) {
	dsn := realparts.MySQL(t)
	migrated(t, dsn)
	s := newShop(t, dsn, []string{"--data-dir", t.TempDir(), "--mysql", dsn})
	second := command(t, binary, "all", "--listen", realparts.FreeAddr(t), "--data-dir", t.TempDir(), "--mysql", dsn, "--auth-key", authKey)
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "need one real --redis") {
		t.Errorf("a second shop: %v, %s", err, out)
	}
	s.must("CheckoutService/PlaceOrder", s.guest(), orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k")
	s.kill()
	s.start()
	s.must("CheckoutService/PlaceOrder", s.guest(), orderBody(hotSKU, 1, goodCard), "Idempotency-Key", "k2")
}
