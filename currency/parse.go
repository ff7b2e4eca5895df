package currency

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/spillway/spillway/order"
)

// The names of the two lines of a rates file that are not rates.
const (
	baseLine = "base"
	dateLine = "date"
)

// rateFormat is a positive decimal of at most 12 digits on each side: no sign, exponent, fraction or NaN.
var rateFormat = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,12})?$`)

// parse parses CSV of two columns: a line `base,EUR`, a line `date,YYYY-MM-DD`, and a line `CODE,RATE` for each
// currency; lines that begin with # are comments. Currencies that are not in known are rejected, because their minor
// unit is unknown; nil accepts all. Errors contain the line number.
func parse(text string, known map[order.Currency]*big.Rat) (*Table, error) {
	p := parser{known: known, table: &Table{rates: map[order.Currency]*big.Rat{}}}
	r := csv.NewReader(strings.NewReader(text))
	r.Comment, r.FieldsPerRecord = '#', 2
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			if err = p.row(row[0], row[1]); err != nil {
				line, _ := r.FieldPos(0)
				err = fmt.Errorf("line %d: %w", line, err)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("exchange rates: %w: %w", order.ErrInvalid, err)
		}
	}
	if err := p.complete(); err != nil {
		return nil, fmt.Errorf("exchange rates: %w: %w", order.ErrInvalid, err)
	}
	p.table.rates[euro] = big.NewRat(1, 1)
	p.table.pairs = p.table.fractions()
	return p.table, nil
}

// parser collects a table line by line.
type parser struct {
	known map[order.Currency]*big.Rat
	table *Table
	based bool
}

// row reads one line of two columns.
func (p *parser) row(name, value string) error {
	switch name {
	case baseLine:
		if p.based || value != string(euro) {
			return fmt.Errorf("%q: the base must be %s, once: rates are units of a currency for one euro", value, euro)
		}
		p.based = true
		return nil
	case dateLine:
		return p.date(value)
	}
	return p.rate(order.Currency(name), value)
}

// date reads the day of the rates.
func (p *parser) date(value string) error {
	date, err := time.Parse(time.DateOnly, value)
	if err != nil || !p.table.date.IsZero() {
		return fmt.Errorf("%q: the date must be YYYY-MM-DD, once", value)
	}
	p.table.date = date
	return nil
}

// rate reads the rate of a currency.
func (p *parser) rate(code order.Currency, value string) error {
	if _, ok := p.known[code]; code == euro || (p.known != nil && !ok) {
		return fmt.Errorf("currency %q cannot be used: take one of those in currency/rates.csv, without the base", string(code))
	}
	if _, twice := p.table.rates[code]; twice {
		return fmt.Errorf("currency %s is there twice", code)
	}
	rate, ok := new(big.Rat).SetString(value)
	if !ok || !rateFormat.MatchString(value) || rate.Sign() <= 0 {
		return fmt.Errorf("%s has the rate %q: it must be a decimal number above 0, such as 1.1607", code, value)
	}
	p.table.rates[code] = rate
	return nil
}

// complete fails if the base, the day or all rates are missing.
func (p *parser) complete() error {
	switch {
	case !p.based:
		return fmt.Errorf("the line `%s,%s` is missing", baseLine, euro)
	case p.table.date.IsZero():
		return fmt.Errorf("the line `%s,YYYY-MM-DD` is missing", dateLine)
	case len(p.table.rates) == 0:
		return errors.New("there is no rate")
	}
	return nil
}
