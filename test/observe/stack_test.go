package observe

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// value returns the value of a PromQL expression with one series, and false if it has none.
func value(t testing.TB, prometheus *realparts.Proc, expr string) (float64, bool) {
	t.Helper()
	status, body := get("http://" + prometheus.Addr() + "/api/v1/query?query=" + url.QueryEscape(expr))
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("query %s: %d %s (%v)", expr, status, body, err)
	}
	if len(answer.Data.Result) == 0 {
		return 0, false
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || len(answer.Data.Result) > 1 {
		t.Fatalf("query %s: %s (%v)", expr, body, err)
	}
	return v, true
}

// becomes waits until the expression has a value that is right.
func becomes(t testing.TB, prometheus *realparts.Proc, expr string, right func(v float64) bool) float64 {
	t.Helper()
	var v float64
	var found bool
	defer func() {
		if t.Failed() {
			t.Logf("%s is %v (%t)", expr, v, found)
		}
	}()
	eventually(t, pathTimeout, "the right value of "+expr, func() bool {
		v, found = value(t, prometheus, expr)
		return found && right(v)
	})
	return v
}

func equals(want float64) func(float64) bool { return func(v float64) bool { return v == want } }

func atLeast(want float64) func(float64) bool { return func(v float64) bool { return v >= want } }
