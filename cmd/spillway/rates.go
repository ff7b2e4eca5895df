package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/currency"
)

// ratesConfig says by which rates money is converted.
type ratesConfig struct {
	File   string         `name:"rates" env:"SPILLWAY_RATES" group:"Currency" placeholder:"FILE" help:"Exchange rates: a CSV file in the form of currency/rates.csv, which is read again when it changes. Without it, the rates of one day in 2025 are used, which are shipped with the program for trying it out."`
	MaxAge *time.Duration `name:"rates-max-age" env:"SPILLWAY_RATES_MAX_AGE" group:"Currency" placeholder:"DURATION" help:"How old exchange rates may be, from 00:00 UTC of their day; older ones are refused, and only prices in the catalogue's own currency can be charged. 0 is no limit. Default: 168h with --rates, no limit without."`
}

// defaultRatesMaxAge is the limit for rates of a file: the longest pause between two publications, at Easter, is 5 days.
const defaultRatesMaxAge = 7 * 24 * time.Hour

func (c ratesConfig) maxAge() time.Duration {
	switch {
	case c.MaxAge != nil:
		return *c.MaxAge
	case c.File != "":
		return defaultRatesMaxAge
	}
	return 0
}

func (c ratesConfig) validate() error {
	if c.maxAge() < 0 {
		return fmt.Errorf("--rates-max-age %s: must not be negative", c.maxAge())
	}
	return nil
}

// load reads the rates; those that are not valid or too old end the start.
func (c ratesConfig) load(log *slog.Logger) (*currency.Live, error) {
	rates, err := currency.New(currency.Config{File: c.File, MaxAge: c.maxAge()}, log)
	if err != nil {
		return nil, fmt.Errorf("--rates: %w", err)
	}
	log.Info("exchange rates loaded", "rate_date", rates.Date(), "file", c.File)
	return rates, nil
}
