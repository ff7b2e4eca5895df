package observe

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// prober sends requests with canaries to a shop, each situation twice at the same time: two verification codes are found with certainty.
type prober struct {
	*shop
	sku, soldOut string

	mu   sync.Mutex
	sent []canaries
}

// situation is one way in which a request ends. want is a part of the response.
type situation struct {
	name string
	want string
	send func(p *prober, c canaries) (string, error)
}

const (
	place     = "CheckoutService/PlaceOrder"
	paid      = "ORDER_STATE_PAID"
	invalid   = "invalid_argument"
	forbidden = "unauthenticated"
	refused   = "failed_precondition"
)

// The cards to which the simulated provider responds in a way of their own.
const (
	cardDown         = "4000000000000036"
	cardSlow         = "4000000000000077"
	cardNoResponse   = "4000000000000259"
	cardResponseLost = "4000000000000341"
)

var situations = []situation{
	{"accepted", paid, func(p *prober, c canaries) (string, error) { return p.place(c, c.order(p.sku)) }},
	{"binary", "", func(p *prober, c canaries) (string, error) {
		return p.post(place, c.token, "application/proto", []byte("\x1a\x80"+c.email+c.street+c.card))
	}},
	{"paid later", paid, (*prober).payLater},
	{"key reused", "already_exists", (*prober).reuseKey},
	{"wrong check digit", refused, func(p *prober, c canaries) (string, error) {
		c.card = c.card[:15] + string('0'+(c.card[15]-'0'+1)%10)
		p.note(c)
		return p.place(c, c.order(p.sku))
	}},
	{"expired card", "", func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "card.expiryYear", 2020))
	}},
	{"sold out", refused, func(p *prober, c canaries) (string, error) { return p.place(c, c.order(p.soldOut)) }},
	{"unknown SKU", "not_found", func(p *prober, c canaries) (string, error) { return p.place(c, c.order("NOSUCH")) }},
	{"invalid e-mail", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "email", strings.ReplaceAll(c.email, "@", " at ")))
	}},
	{"invalid card", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "card.number", c.card+"x"))
	}},
	{"invalid CVV", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "card.cvv", c.card+c.name))
	}},
	{"street is too long", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "shippingAddress.street", strings.Repeat(c.street, 100)))
	}},
	{"street is no string", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "shippingAddress.street", []string{c.street}))
	}},
	{"card is a string", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "card", c.card+" "+c.cvv))
	}},
	{"values are names", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, map[string]any{c.email: c.street, c.card: c.name})
	}},
	{"truncated", invalid, func(p *prober, c canaries) (string, error) {
		body := asJSON(c.order(p.sku))
		return p.post(place, c.token, "application/json", []byte(body[:len(body)-20]))
	}},
	{"too large", invalid, func(p *prober, c canaries) (string, error) {
		return p.place(c, with(c.order(p.sku), "email", strings.Repeat(c.email, 5000)))
	}},
	{"forged token", forbidden, (*prober).forge},
	{"expired token", forbidden, (*prober).expire},
	{"no bearer token", "", func(p *prober, c canaries) (string, error) {
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.email+":"+c.street))
		return p.post(place, "", "application/json", []byte(asJSON(c.order(p.sku))), "Authorization", basic)
	}},
	{"garbage as token", forbidden, func(p *prober, c canaries) (string, error) {
		return p.post(place, c.email+"."+c.card+".", "application/json", []byte(asJSON(c.order(p.sku))))
	}},
	{"e-mail as key", paid, func(p *prober, c canaries) (string, error) {
		return p.post(place, c.token, "application/json", []byte(asJSON(c.order(p.sku))), "Idempotency-Key", c.email)
	}},
	{"too little time", "deadline_exceeded", func(p *prober, c canaries) (string, error) {
		return p.post(place, c.token, "application/json", []byte(asJSON(c.order(p.sku))), "Idempotency-Key", rand.Text(), "Connect-Timeout-Ms", "1")
	}},
	{"quoted by GET", "total", (*prober).quote},
}

// failures are charges that fail or take long. They come last, because they may open the breaker of charges.
var failures = []situation{
	{"provider is down", "", withCard(cardDown)},
	{"slow charge", "", withCard(cardSlow)},
	{"charge without a response", "", withCard(cardNoResponse)},
	{"response lost", "", withCard(cardResponseLost)},
}

// probe sends the requests at once and checks that each ended as it should.
func (p *prober) probe(situations []situation) {
	var wg sync.WaitGroup
	for _, s := range situations {
		for range 2 {
			c := newCanaries(s.name)
			c.token = p.guest()
			p.note(c)
			wg.Go(func() {
				response, err := s.send(p, c)
				if err != nil || !strings.Contains(response, s.want) {
					p.t.Errorf("%s: %s (%v); want %s", s.name, response, err, s.want)
				}
			})
		}
	}
	wg.Wait()
}

// note remembers what is looked for.
func (p *prober) note(c canaries) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, c)
}

// order returns a PlaceOrderRequest.
func (c canaries) order(sku string) map[string]any {
	return map[string]any{
		"lines": []any{map[string]any{"sku": sku, "quantity": 1}}, "currencyCode": "EUR", "email": c.email,
		"shippingAddress": map[string]any{"name": c.name, "street": c.street, "city": "Berlin", "postalCode": "10115", "countryCode": "DE"},
		"card":            map[string]any{"number": c.card, "cvv": c.cvv, "expiryYear": 2040, "expiryMonth": 1},
	}
}

// with changes a field, such as card.number.
func with(body map[string]any, path string, value any) map[string]any {
	at := body
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		at, _ = at[name].(map[string]any)
	}
	at[names[len(names)-1]] = value
	return body
}

func withCard(card string) func(p *prober, c canaries) (string, error) {
	return func(p *prober, c canaries) (string, error) {
		c.also["known card"] = card
		p.note(c)
		return p.place(c, with(c.order(p.sku), "card.number", card))
	}
}

func (p *prober) place(c canaries, body map[string]any) (string, error) {
	return p.post(place, c.token, "application/json", []byte(asJSON(body)), "Idempotency-Key", rand.Text())
}

func (p *prober) payLater(c canaries) (string, error) {
	body := c.order(p.sku)
	card := body["card"]
	delete(body, "card")
	placed, err := p.place(c, body)
	if err != nil {
		return "", err
	}
	var r reply
	if err := json.Unmarshal([]byte(strings.TrimPrefix(placed, "200 ")), &r); err != nil {
		return placed, err
	}
	return p.post("CheckoutService/PayOrder", c.token, "application/json", []byte(asJSON(map[string]any{"orderId": r.Order.ID, "card": card})))
}

func (p *prober) reuseKey(c canaries) (string, error) {
	key := rand.Text()
	for range 2 {
		response, err := p.post(place, c.token, "application/json", []byte(asJSON(c.order(p.sku))), "Idempotency-Key", key)
		if err != nil || !strings.Contains(response, paid) {
			return response, err
		}
		c = c.elsewhere()
		p.note(c)
	}
	return "", nil
}

// elsewhere is the same customer with another address.
func (c canaries) elsewhere() canaries {
	other := newCanaries(c.situation)
	other.token = c.token
	return other
}

// forge sends a token of another shop, with the e-mail as customer.
func (p *prober) forge(c canaries) (string, error) {
	return p.signed(c, rand.Text()+rand.Text(), time.Hour)
}

func (p *prober) expire(c canaries) (string, error) { return p.signed(c, p.key, -time.Hour) }

func (p *prober) signed(c canaries, key string, ttl time.Duration) (string, error) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "spillway", "sub": c.email, "exp": time.Now().Add(ttl).Unix()}).
		SignedString([]byte(key))
	if err != nil {
		return "", err
	}
	c.token = token
	p.note(c)
	return p.place(c, c.order(p.sku))
}

// quote asks for a price with the address in the URL.
func (p *prober) quote(c canaries) (string, error) {
	body := c.order(p.sku)
	delete(body, "card")
	delete(body, "email")
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+"/spillway.v1.CheckoutService/Quote?connect=v1&encoding=json&message="+
		url.QueryEscape(asJSON(body)), http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	return response(req)
}

// post sends a body with headers, which are names and values by turns, and returns the response's.
func (p *prober) post(procedure, token, contentType string, body []byte, headers ...string) (string, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/spillway.v1."+procedure, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return response(req)
}

func response(req *http.Request) (string, error) {
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, text), err
}
