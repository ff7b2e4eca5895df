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
	// FlashSale is everybody after one unit of one SKU.
	FlashSale = "flash-sale"
	// Uniform is one unit of any product of the catalogue.
	Uniform = "uniform"
	// Mixed is visits: most browse, some fill a cart, fewer buy it.
	Mixed = "mixed"
)

// The processes by which orders arrive.
const (
	// Poisson is many customers who do not know of each other.
	Poisson = "poisson"
	// Constant is one order after the other at the same distance.
	Constant = "constant"
)

const (
	// rateMax bounds --rate, in arrivals a second: more than one process can send.
	rateMax = 100_000
	// durationMax bounds --duration.
	durationMax = 24 * time.Hour
	// arrivalsMax bounds rate × duration: of every accepted order about 100 bytes are remembered until the end.
	arrivalsMax = 5_000_000
	// inFlightMax bounds --max-in-flight: each is a goroutine and a connection.
	inFlightMax = 20_000
	// buyersMax bounds --buyers: each is a session of about 400 bytes, and a call at the start and at the end.
	buyersMax = 100_000
	// ordersPerBuyer is how many orders a buyer places in a minute when --buyers is 0: well below the 300 that a shop allows
	// a customer by default.
	ordersPerBuyer = 120
	// retriesMax bounds --retries.
	retriesMax = 100
	// stockMax bounds --stock, as CreateProduct does.
	stockMax = 1_000_000_000
	// settleMax bounds --settle-wait.
	settleMax = 24 * time.Hour
)

// Config is what to send, and for how long.
type Config struct {
	// URL is where the shop is.
	URL string
	// Rate is the arrivals a second, for Duration.
	Rate     float64
	Duration time.Duration
	// Arrivals is Poisson or Constant.
	Arrivals string
	Scenario string
	// SKU is the hot one of a flash sale. With Stock it is created, under a fresh name if it is empty.
	SKU   string
	Stock int64
	// Buyers is the number of guest sessions; 0 means as many as the rate needs.
	Buyers int
	// MaxInFlight bounds the arrivals that are under way, those that wait for a retry included.
	MaxInFlight int
	// Retries is how often a call that may succeed later is sent again, with the same key.
	Retries int
	// Card pays.
	Card string
	// Token is an operator's, for the creation of a SKU and for the audit; it may be empty.
	Token string
	// SettleWait is how long accepted orders are followed until they are SHIPPED, and as long again until the audit is content.
	SettleWait time.Duration
	// Seed makes the same schedule again; 0 draws one.
	Seed uint64
}

var (
	skuPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	cardPattern = regexp.MustCompile(`^[0-9]([ -]?[0-9]){11,18}$`)
)

// Validate reports every mistake at once, by the name of its flag.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	u, err := url.Parse(c.URL)
	wrong(err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "",
		"--url %q: must look like http://HOST:PORT", c.URL)
	rateBad := math.IsNaN(c.Rate) || c.Rate <= 0 || c.Rate > rateMax
	wrong(rateBad, "--rate %v: take more than 0 and at most %d arrivals a second", c.Rate, rateMax)
	durationBad := c.Duration <= 0 || c.Duration > durationMax
	wrong(durationBad, "--duration %s: take more than nothing and at most %s", c.Duration, durationMax)
	if n := c.Rate * c.Duration.Seconds(); !rateBad && !durationBad {
		wrong(n > arrivalsMax, "--rate × --duration: that is %.0f arrivals; at most %d are kept in memory", n, arrivalsMax)
		wrong(n < 1, "--rate × --duration: that is not even one arrival")
	}
	wrong(c.Arrivals != Poisson && c.Arrivals != Constant, "--arrivals %q: take %s or %s", c.Arrivals, Poisson, Constant)
	wrong(c.MaxInFlight < 1 || c.MaxInFlight > inFlightMax, "--max-in-flight %d: take 1 to %d", c.MaxInFlight, inFlightMax)
	wrong(c.Retries < 0 || c.Retries > retriesMax, "--retries %d: take 0 to %d", c.Retries, retriesMax)
	wrong(!cardPattern.MatchString(c.Card), "--card: must have 12 to 19 digits")
	wrong(c.SettleWait < 0 || c.SettleWait > settleMax, "--settle-wait %s: take 0 to %s", c.SettleWait, settleMax)
	return errors.Join(append(errs, c.validateScenario()...)...)
}

// validateScenario checks what the scenarios need of the other flags.
func (c *Config) validateScenario() []error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Scenario != FlashSale && c.Scenario != Uniform && c.Scenario != Mixed,
		"--scenario %q: take %s, %s or %s", c.Scenario, FlashSale, Uniform, Mixed)
	flash := c.Scenario == FlashSale
	wrong(c.SKU != "" && !skuPattern.MatchString(c.SKU), "--sku %q: take 1 to 64 letters, digits, '_', '.' or '-'", c.SKU)
	wrong(c.SKU != "" && !flash, "--sku is for --scenario %s", FlashSale)
	wrong(c.Stock < 0 || c.Stock > stockMax, "--stock %d: take 0 to %d", c.Stock, stockMax)
	wrong(c.Stock > 0 && !flash, "--stock is for --scenario %s", FlashSale)
	wrong(c.Stock > 0 && c.Token == "", "--stock creates a product, which needs an operator's token: --token, --auth-key or --data-dir")
	wrong(flash && c.SKU == "" && c.Stock == 0, "--scenario %s: name a --sku, or give --stock and an operator's token to create one", FlashSale)
	wrong(c.Buyers < 0 || c.Buyers > buyersMax, "--buyers %d: take 1 to %d, or 0 for as many as the rate needs", c.Buyers, buyersMax)
	wrong(c.Scenario == Mixed && c.Buyers > 0 && c.Buyers < c.MaxInFlight,
		"--buyers %d: --scenario %s needs at least --max-in-flight (%d), because a cart is one buyer's", c.Buyers, Mixed, c.MaxInFlight)
	return errs
}

// buyers is how many sessions to start.
func (c *Config) buyers() int {
	if c.Buyers > 0 {
		return c.Buyers
	}
	n := int(math.Ceil(c.Rate * 60 / ordersPerBuyer))
	if c.Scenario == Mixed {
		n = max(n, c.MaxInFlight)
	}
	return min(max(n, 1), buyersMax)
}
