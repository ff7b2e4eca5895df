package load

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestConfig_Validate_AllErrors(t *testing.T) {
	t.Parallel()
	c := Config{
		URL: "ftp://x", Rate: math.NaN(), Duration: -1, Arrivals: "waves", Scenario: "riot", SKU: "a b", Stock: -1, Buyers: -1,
		Retries: 101, Card: "1", SettleWait: -1,
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("all of that was taken")
	}
	for _, flag := range []string{
		"--url", "--rate", "--duration", "--arrivals", "--scenario", "--sku \"a b\"", "--sku is for", "--stock", "--buyers", "--max-in-flight",
		"--retries", "--card", "--settle-wait",
	} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%s is not blamed:\n%v", flag, err)
		}
	}
	if strings.Contains(err.Error(), "--card 1") {
		t.Error("a card's number is repeated")
	}
}

func TestConfig_Validate_Scenarios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // of the error; empty: none
	}{
		{"a good one", func(*Config) {}, ""},
		{"no SKU", func(c *Config) { c.SKU = "" }, "name a --sku"},
		{"stock without a token", func(c *Config) { c.Stock = 5 }, "operator's token"},
		{"stock with one", func(c *Config) { c.SKU, c.Stock, c.Token = "", 5, "x" }, ""},
		{"a SKU for all products", func(c *Config) { c.Scenario = Uniform }, "--sku is for"},
		{"too few buyers for carts", func(c *Config) { c.Scenario, c.SKU = Mixed, "" }, "at least --max-in-flight"},
		{"Online Boutique without a token", func(c *Config) { *c = boutiqueConfig(); c.Token = "" }, "only an operator"},
		{"Online Boutique nowhere", func(c *Config) { *c = boutiqueConfig(); c.BoutiqueURL = "127.0.0.1:8082" }, "--boutique-url"},
		{"Online Boutique", func(c *Config) { *c = boutiqueConfig() }, ""},
		{"too many arrivals", func(c *Config) { c.Rate, c.Duration = 100_000, time.Minute }, "arrivals; at most"},
		{"none", func(c *Config) { c.Rate, c.Duration = 1, time.Millisecond }, "not even one"},
		{"a password in the URL", func(c *Config) { c.URL = "http://a:b@c" }, "--url"},
	} {
		cfg := someConfig()
		c.change(&cfg)
		switch err := cfg.Validate(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestArrivals_Rates(t *testing.T) {
	t.Parallel()
	const rate, n = 1000, 100_000
	constant := newArrivals(Constant, rate, nil)
	for i := range n {
		if got, want := constant.next(), time.Duration(i)*time.Millisecond; got != want {
			t.Fatalf("arrival %d at %s, want %s", i, got, want)
		}
	}
	poisson := newArrivals(Poisson, rate, rand.New(rand.NewPCG(1, 2)))
	var last, long time.Duration
	for range n {
		at := poisson.next()
		if at < last {
			t.Fatal("time goes back")
		}
		if at-last > time.Millisecond {
			long++
		}
		last = at
	}
	// The mean gap is 1 ms, and 1/e of exponential gaps are longer than that.
	if got := last.Seconds(); math.Abs(got-n/rate) > 2 {
		t.Errorf("%d arrivals took %.1f s", n, got)
	}
	if share := float64(long) / n; math.Abs(share-1/math.E) > 0.01 {
		t.Errorf("%.3f of the gaps are long, want %.3f", share, 1/math.E)
	}
}

func TestScenario_SameSeed(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) (out []visit) {
		r := run{cfg: Config{Seed: seed}}
		s := scenario{kind: Mixed, skus: []string{"A", "B", "C"}, random: r.random(1)}
		for range 50 {
			out = append(out, s.next())
		}
		return out
	}
	one, same, other := draw(1), draw(1), draw(2)
	differ := 0
	for i := range one {
		if one[i] != same[i] {
			t.Errorf("visit %d: %+v and %+v", i, one[i], same[i])
		}
		if one[i] != other[i] {
			differ++
		}
	}
	if differ == 0 {
		t.Error("another seed draws the same")
	}
}

// boutiqueConfig is a valid one for the scenario OnlineBoutique.
func boutiqueConfig() Config {
	c := someConfig()
	c.Scenario, c.SKU, c.Token, c.BoutiqueURL, c.Buyers = OnlineBoutique, "", "x", "http://127.0.0.1:8082", 0
	return c
}
