package currency

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/order"
)

func load(t *testing.T) *Table {
	t.Helper()
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTable_Convert(t *testing.T) {
	t.Parallel()
	table := load(t)
	for _, c := range []struct {
		amount   order.Cents
		from, to order.Currency
		want     order.Cents
	}{
		{1999, "USD", "EUR", 1722},   // 19.99 / 1.1607 = 17.2224…
		{10000, "EUR", "USD", 11607}, // 100 × 1.1607
		{1, "EUR", "JPY", 2},         // 0.01 × 176.45 = 1.7645
		{100, "JPY", "EUR", 57},      // 100 / 176.45 = 0.5667…
		{-1999, "USD", "EUR", -1722}, // the sign changes nothing else
		{50, "EUR", "CHF", 46},       // 0.50 × 0.9230 = 0.4615
		{1999, "USD", "GBP", 1495},   // 19.99 / 1.1607 × 0.86780 = 14.9456…
		{12345, "EUR", "EUR", 12345}, // itself
		{0, "USD", "KRW", 0},
	} {
		got, err := table.Convert(order.Money{Currency: c.from, Amount: c.amount}, c.to)
		if err != nil || got != (order.Money{Currency: c.to, Amount: c.want}) {
			t.Errorf("%d %s in %s = %v, %v; want %d", c.amount, c.from, c.to, got, err, c.want)
		}
	}
}

func TestRound_HalfAwayFromZero(t *testing.T) {
	t.Parallel()
	for x, want := range map[string]int64{"1/2": 1, "-1/2": -1, "3/2": 2, "-3/2": -2, "49/100": 0, "-51/100": -1, "7": 7} {
		r, _ := new(big.Rat).SetString(x)
		if got := round(r).Int64(); got != want {
			t.Errorf("round(%s) = %d; want %d", x, got, want)
		}
	}
}

func TestTable_Convert_Invalid(t *testing.T) {
	t.Parallel()
	table := load(t)
	for _, c := range []struct {
		m  order.Money
		to order.Currency
	}{
		{order.Money{Currency: "EUR", Amount: 1}, "XXX"},
		{order.Money{Currency: "", Amount: 1}, "EUR"},
		{order.Money{Currency: "EUR", Amount: math.MaxInt64}, "IDR"},
	} {
		if got, err := table.Convert(c.m, c.to); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%v in %s = %v, %v; want ErrInvalid", c.m, c.to, got, err)
		}
	}
}

func TestTable_Convert_RoundTrip(t *testing.T) {
	t.Parallel()
	table := load(t)
	rapid.Check(t, func(r *rapid.T) {
		from, to := rapid.SampledFrom(table.Codes()).Draw(r, "from"), rapid.SampledFrom(table.Codes()).Draw(r, "to")
		m := order.Money{Currency: from, Amount: order.Cents(rapid.Int64Range(-1e12, 1e12).Draw(r, "amount"))}
		there, err := table.Convert(m, to)
		if err != nil {
			r.Fatal(err)
		}
		back, err := table.Convert(there, from)
		if err != nil {
			r.Fatal(err)
		}
		// Half a minor unit of the target, in minor units of the source, and half of one of those for the conversion
		// back.
		step, err := table.Convert(order.Money{Currency: to, Amount: 1}, from)
		if err != nil {
			r.Fatal(err)
		}
		if diff := back.Amount - m.Amount; diff > step.Amount+1 || diff < -step.Amount-1 {
			r.Fatalf("%v → %v → %v", m, there, back)
		}
	})
}

func TestTable_Convert_Monotonic(t *testing.T) {
	t.Parallel()
	table := load(t)
	rapid.Check(t, func(r *rapid.T) {
		from, to := rapid.SampledFrom(table.Codes()).Draw(r, "from"), rapid.SampledFrom(table.Codes()).Draw(r, "to")
		less := rapid.Int64Range(-1e12, 1e12).Draw(r, "less")
		more := less + rapid.Int64Range(0, 1e6).Draw(r, "more by")
		a, aerr := table.Convert(order.Money{Currency: from, Amount: order.Cents(less)}, to)
		b, berr := table.Convert(order.Money{Currency: from, Amount: order.Cents(more)}, to)
		if aerr != nil || berr != nil || a.Amount > b.Amount {
			r.Fatalf("%d %s = %v, %v but %d %s = %v, %v", less, from, a, aerr, more, from, b, berr)
		}
		minus, err := table.Convert(order.Money{Currency: from, Amount: order.Cents(-less)}, to)
		if err != nil || minus.Amount != -a.Amount {
			r.Fatalf("%d %s = %v but the negative = %v, %v", less, from, a, minus, err)
		}
	})
}

func TestLoad_EmbeddedRates(t *testing.T) {
	t.Parallel()
	table := load(t)
	if table.Date() != "2025-10-21" || len(table.Codes()) != 31 || !slices.IsSorted(table.Codes()) {
		t.Errorf("rates of %s: %v", table.Date(), table.Codes())
	}
}

func TestParse_InvalidTables(t *testing.T) {
	t.Parallel()
	known := load(t).rates
	const head = "base,EUR\ndate,2025-10-21\n"
	if _, err := parse(head+"# a comment\nUSD,1.1607\n", known); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, says string }{
		"empty":              {"", "`base,EUR` is missing"},
		"no base":            {"date,2025-10-21\nUSD,1.1\n", "`base,EUR` is missing"},
		"another base":       {"base,USD\n", "line 1: \"USD\": the base must be EUR"},
		"two bases":          {head + "base,EUR\n", "line 3"},
		"no date":            {"base,EUR\nUSD,1.1\n", "`date,YYYY-MM-DD` is missing"},
		"a date of words":    {"base,EUR\ndate,yesterday\n", "line 2: \"yesterday\": the date must be"},
		"two dates":          {head + "date,2025-10-22\n", "line 3"},
		"no rates":           {head, "there is no rate"},
		"zero":               {head + "USD,0\n", "line 3: USD has the rate \"0\""},
		"negative":           {head + "USD,-1\n", "above 0"},
		"NaN":                {head + "USD,NaN\n", "above 0"},
		"infinite":           {head + "USD,Inf\n", "above 0"},
		"a fraction":         {head + "USD,1/2\n", "above 0"},
		"an exponent":        {head + "USD,1e999999999\n", "above 0"},
		"no number":          {head + "USD,x\n", "above 0"},
		"one column":         {head + "USD\n", "wrong number of fields"},
		"three columns":      {head + "USD,1,2\n", "wrong number of fields"},
		"twice":              {head + "# c\nUSD,1.1\nUSD,1.1\n", "line 5: currency USD is there twice"},
		"an unknown one":     {head + "KWD,0.35\n", "currency \"KWD\" cannot be used"},
		"the base as a rate": {head + "EUR,1\n", "without the base"},
	} {
		if table, err := parse(c.text, known); !errors.Is(err, order.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want an error with %q", name, table, err, c.says)
		}
	}
}

func TestTable_Convert_NeverZero(t *testing.T) {
	t.Parallel()
	table := load(t)
	for amount, want := range map[order.Cents]order.Cents{1: 1, 9600: 1, 9637: 1, -1: -1, 0: 0} { // 0.01 EUR are 192.73 IDR.
		got, err := table.Convert(order.Money{Currency: "IDR", Amount: amount}, "EUR")
		if err != nil || got.Amount != want {
			t.Errorf("%d hundredths of IDR = %v, %v; want %d cents", amount, got, err, want)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		from, to := rapid.SampledFrom(table.Codes()).Draw(r, "from"), rapid.SampledFrom(table.Codes()).Draw(r, "to")
		amount := order.Cents(rapid.Int64Range(1, 1e6).Draw(r, "amount"))
		if got, err := table.Convert(order.Money{Currency: from, Amount: amount}, to); err != nil || got.Amount < 1 {
			r.Fatalf("%d %s = %v, %v; want at least one minor unit", amount, from, got, err)
		}
	})
}

// FuzzParse checks that an accepted table has a base, a day and rates above 0 for known currencies.
func FuzzParse(f *testing.F) {
	known, err := Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ratesCSV)
	f.Add("base,EUR\ndate,2026-03-09\nUSD,1.1607\n")
	f.Add("base,EUR\ndate,2026-03-09\nUSD,1e-9\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parse(text, known.rates)
		if err != nil {
			if !errors.Is(err, order.ErrInvalid) {
				t.Errorf("%v is not ErrInvalid", err)
			}
			return
		}
		if table.Date() == "" || len(table.Codes()) == 0 {
			t.Errorf("%q gives a table without a day or rates", text)
		}
		for _, code := range table.Codes() {
			if known.rates[code] == nil || table.rates[code].Sign() <= 0 {
				t.Errorf("%q gives %s the rate %v", text, code, table.rates[code])
			}
		}
	})
}
