package app

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/currency"
)

// RatesConfig locates the exchange rates.
type RatesConfig struct {
	File   string         // CSV file in the form of currency/rates.csv, reloaded when it changes; empty: rates of one day in 2025
	MaxAge *time.Duration // age beyond which rates are not used, 0: no limit; nil: 168 h for a file, else no limit
}

// defaultRatesMaxAge is the limit for rates of a file: the longest pause between two publications, at Easter, is 5 days.
const defaultRatesMaxAge = 7 * 24 * time.Hour

func (c RatesConfig) maxAge() time.Duration {
	switch {
	case c.MaxAge != nil:
		return *c.MaxAge
	case c.File != "":
		return defaultRatesMaxAge
	}
	return 0
}

func (c RatesConfig) validate() error {
	if c.maxAge() < 0 {
		return fmt.Errorf("--rates-max-age %s: must not be negative", c.maxAge())
	}
	return nil
}

// load reads the rates; those that are not valid or too old end the start.
func (c RatesConfig) load(log *slog.Logger) (*currency.Live, error) {
	rates, err := currency.New(currency.Config{File: c.File, MaxAge: c.maxAge()}, log)
	if err != nil {
		return nil, fmt.Errorf("--rates: %w", err)
	}
	log.Info("exchange rates loaded", "rate_date", rates.Date(), "file", c.File)
	return rates, nil
}
