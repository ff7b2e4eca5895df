package load

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"time"
)

// The scenarios.
const (
	// FlashSale orders one unit of one SKU per arrival.
	FlashSale = "flash-sale"
	// Uniform orders one unit of a random product of the catalogue per arrival.
	Uniform = "uniform"
	// Mixed simulates visits: most browse, some fill a cart, fewer buy it.
	Mixed = "mixed"
	// OnlineBoutique makes the calls of the front end of Online Boutique, with the weights of its load generator.
	OnlineBoutique = "online-boutique"
)

// The processes of arrivals.
const (
	// Poisson is a Poisson process: independent customers.
	Poisson = "poisson"
	// Constant is one order after the other with equal gaps.
	Constant = "constant"
)

const (
	// maxRate is the maximum of --rate in arrivals per second, above the capacity of one process.
	maxRate = 100_000
	// maxDuration is the maximum of --duration.
	maxDuration = 24 * time.Hour
	// maxArrivals is the maximum of rate × duration: about 100 bytes per accepted order are kept until the end.
	maxArrivals = 5_000_000
	// maxInFlightLimit is the maximum of --max-in-flight: each is a goroutine and a connection.
	maxInFlightLimit = 20_000
	// maxBuyers is the maximum of --buyers: each is a session of about 400 bytes, and a call at the start and at the
	// end.
	maxBuyers = 100_000
	// ordersPerBuyer is the number of orders per buyer and minute when --buyers is 0: well below the 300 that a shop
	// allows a customer by default.
	ordersPerBuyer = 120
	// maxRetries is the maximum of --retries.
	maxRetries = 100
	// maxStock is the maximum of --stock, which is that of CreateProduct.
	maxStock = 1_000_000_000
	// maxSettleWait is the maximum of --settle-wait.
	maxSettleWait = 24 * time.Hour
)

// Config describes the load.
type Config struct {
	// URL is the address of the shop.
	URL string
	// BoutiqueURL is the address of Online Boutique's interface, for OnlineBoutique.
	BoutiqueURL string
	// Rate is the number of arrivals per second, for Duration.
	Rate     float64
	Duration time.Duration
	// Arrivals is Poisson or Constant.
	Arrivals string
	Scenario string
	// SKU is the product of a flash sale. With Stock it is created, with a new name if SKU is empty.
	SKU   string
	Stock int64
	// Buyers is the number of guest sessions; 0 means as many as the rate needs.
	Buyers int
	// MaxInFlight is the maximum number of concurrent arrivals, including those that wait for a retry.
	MaxInFlight int
	// Retries is the maximum number of retries of a call that may succeed later, with the same idempotency key.
	Retries int
	// Card is the number of the card that pays.
	Card string
	// Token is an operator's token, for the creation of a SKU and for the audit; it may be empty.
	Token string
	// SettleWait is the maximum time to wait until accepted orders are SHIPPED, and again until the audit finds no
	// violation.
	SettleWait time.Duration
	// Seed reproduces a schedule; 0 draws a random one.
	Seed uint64
}

var (
	skuPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	cardPattern = regexp.MustCompile(`^[0-9]([ -]?[0-9]){11,18}$`)
)

// Validate returns all errors at once, each with the name of its flag.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(!isAddress(c.URL), "--url %q: must look like http://HOST:PORT", c.URL)
	rateBad := math.IsNaN(c.Rate) || c.Rate <= 0 || c.Rate > maxRate
	wrong(rateBad, "--rate %v: take more than 0 and at most %d arrivals a second", c.Rate, maxRate)
	durationBad := c.Duration <= 0 || c.Duration > maxDuration
	wrong(durationBad, "--duration %s: take more than nothing and at most %s", c.Duration, maxDuration)
	if n := c.Rate * c.Duration.Seconds(); !rateBad && !durationBad {
		wrong(n > maxArrivals, "--rate × --duration: that is %.0f arrivals; at most %d are kept in memory", n, maxArrivals)
		wrong(n < 1, "--rate × --duration: that is not even one arrival")
	}
	wrong(c.Arrivals != Poisson && c.Arrivals != Constant, "--arrivals %q: take %s or %s", c.Arrivals, Poisson, Constant)
	wrong(c.MaxInFlight < 1 || c.MaxInFlight > maxInFlightLimit, "--max-in-flight %d: take 1 to %d", c.MaxInFlight, maxInFlightLimit)
	wrong(c.Retries < 0 || c.Retries > maxRetries, "--retries %d: take 0 to %d", c.Retries, maxRetries)
	wrong(!cardPattern.MatchString(c.Card), "--card: must have 12 to 19 digits")
	wrong(c.SettleWait < 0 || c.SettleWait > maxSettleWait, "--settle-wait %s: take 0 to %s", c.SettleWait, maxSettleWait)
	return errors.Join(append(errs, c.validateScenario()...)...)
}

// validateScenario checks the flags that a scenario requires.
func (c *Config) validateScenario() []error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Scenario != FlashSale && c.Scenario != Uniform && c.Scenario != Mixed && c.Scenario != OnlineBoutique,
		"--scenario %q: take %s, %s, %s or %s", c.Scenario, FlashSale, Uniform, Mixed, OnlineBoutique)
	wrong(c.Scenario == OnlineBoutique && !isAddress(c.BoutiqueURL), "--boutique-url %q: must look like http://HOST:PORT", c.BoutiqueURL)
	wrong(c.Scenario == OnlineBoutique && c.Token == "",
		"--scenario %s: only an operator can read its orders: --token, --auth-key or --data-dir", OnlineBoutique)
	flash := c.Scenario == FlashSale
	wrong(c.SKU != "" && !skuPattern.MatchString(c.SKU), "--sku %q: take 1 to 64 letters, digits, '_', '.' or '-'", c.SKU)
	wrong(c.SKU != "" && !flash, "--sku is for --scenario %s", FlashSale)
	wrong(c.Stock < 0 || c.Stock > maxStock, "--stock %d: take 0 to %d", c.Stock, maxStock)
	wrong(c.Stock > 0 && !flash, "--stock is for --scenario %s", FlashSale)
	wrong(c.Stock > 0 && c.Token == "", "--stock creates a product, which needs an operator's token: --token, --auth-key or --data-dir")
	wrong(flash && c.SKU == "" && c.Stock == 0, "--scenario %s: name a --sku, or give --stock and an operator's token to create one", FlashSale)
	wrong(c.Buyers < 0 || c.Buyers > maxBuyers, "--buyers %d: take 1 to %d, or 0 for as many as the rate needs", c.Buyers, maxBuyers)
	wrong(c.fillsCarts() && c.Buyers > 0 && c.Buyers < c.MaxInFlight,
		"--buyers %d: --scenario %s needs at least --max-in-flight (%d), because a cart is one buyer's", c.Buyers, c.Scenario, c.MaxInFlight)
	return errs
}

// fillsCarts reports whether visits fill carts.
func (c *Config) fillsCarts() bool { return c.Scenario == Mixed || c.Scenario == OnlineBoutique }

// isAddress reports whether the text is the URL of a server.
func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == ""
}

// buyers returns the number of sessions to start.
func (c *Config) buyers() int {
	if c.Buyers > 0 {
		return c.Buyers
	}
	n := int(math.Ceil(c.Rate * 60 / ordersPerBuyer))
	if c.fillsCarts() {
		n = max(n, c.MaxInFlight)
	}
	return min(max(n, 1), maxBuyers)
}
