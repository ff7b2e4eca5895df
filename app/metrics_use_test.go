package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	rulesFile = "../deploy/prometheus/rules.yaml"
	// minUsedSeries is far less than the alerts alone use: fewer mean that the expressions were not found.
	minUsedSeries = 10
)

// alertExpressions returns the expressions of a file of alert rules, also those that are blocks of several lines.
func alertExpressions(text string) (out []string) {
	lines := strings.Split(text, "\n")
	indent := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	for i, line := range lines {
		expr, found := strings.CutPrefix(strings.TrimSpace(line), "expr: ")
		if !found {
			continue
		}
		for j := i + 1; expr[0] == '|' && j < len(lines) && indent(lines[j]) > indent(line); j++ {
			expr += " " + strings.TrimSpace(lines[j])
		}
		out = append(out, expr)
	}
	return out
}

// dashboardExpressions returns the values of all fields expr of a dashboard.
func dashboardExpressions(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			if expr, ok := field.(string); ok && name == "expr" {
				out = append(out, expr)
			}
			out = append(out, dashboardExpressions(field)...)
		}
	case []any:
		for _, item := range v {
			out = append(out, dashboardExpressions(item)...)
		}
	}
	return out
}

var (
	// ours are the names of this project's series, each with its selector if it has one.
	ours = regexp.MustCompile(`\b((?:app|repo|spillway|rpc)_[a-z0-9_]+)\b(\{[^}]*\})?`)
	// grouping is a clause with names of labels.
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)`)
	// selected is a label in a selector.
	selected = regexp.MustCompile(`([a-zA-Z_]+)\s*(?:=~|!~|!=|=)`)
)

// labels are those that every series has, and le.
var labels = []string{"instance", "job", "le"}

// series returns the names of the instrument's series on Prometheus, and their labels.
func (i instrument) series() (names, itsLabels []string) {
	itsLabels = slices.Clone(labels)
	for _, a := range i.attributes {
		itsLabels = append(itsLabels, strings.ReplaceAll(a, ".", "_"))
	}
	if i.kind == "histogram" {
		return []string{i.prometheus + "_bucket", i.prometheus + "_count", i.prometheus + "_sum"}, itsLabels
	}
	return []string{i.prometheus}, itsLabels
}

// misuses returns the series of ours in the expression, and which of them or of their labels are not in the golden file.
func misuses(expr string, golden map[string]instrument) (used, wrong []string) {
	known := map[string][]string{}
	for _, i := range golden {
		names, itsLabels := i.series()
		for _, name := range names {
			known[name] = itsLabels
		}
	}
	var all []string
	for _, m := range ours.FindAllStringSubmatch(grouping.ReplaceAllString(expr, ""), -1) {
		itsLabels, ok := known[m[1]]
		if used = append(used, m[1]); !ok {
			wrong = append(wrong, m[1])
			continue
		}
		all = append(all, itsLabels...)
		for _, label := range selected.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(itsLabels, label[1]) {
				wrong = append(wrong, fmt.Sprintf("label %s of %s", label[1], m[1]))
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ",") {
			if label = strings.TrimSpace(label); len(all) > 0 && label != "" && !slices.Contains(all, label) {
				wrong = append(wrong, "label "+label)
			}
		}
	}
	return used, wrong
}

// TestMetrics_DashboardsAndAlertsUseWhatExists: every series of ours in the expressions of dashboards and alerts, and each of its labels, is in
// docs/metrics.md.
func TestMetrics_DashboardsAndAlertsUseWhatExists(t *testing.T) {
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	expressions := map[string][]string{rulesFile: alertExpressions(string(text))}
	if want := strings.Count(string(text), "- alert:"); len(expressions[rulesFile]) != want {
		t.Errorf("%d expressions of %d alerts", len(expressions[rulesFile]), want)
	}
	files, err := filepath.Glob("../deploy/grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d dashboards (%v)", len(files), err)
	}
	for _, path := range files {
		expressions[path] = dashboardExpressions(dashboard(t, path))
	}
	golden, used := documented(t), map[string]bool{}
	for path, all := range expressions {
		for _, expr := range all {
			names, wrong := misuses(expr, golden)
			for _, name := range names {
				used[name] = true
			}
			if len(wrong) > 0 {
				t.Errorf("%s: not in %s: %v, of %s", path, metricsPage, wrong, expr)
			}
		}
	}
	if len(used) < minUsedSeries {
		t.Errorf("only %v are used: are the expressions found?", slices.Sorted(maps.Keys(used)))
	}
}

func dashboard(t *testing.T, path string) (v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// TestMisuses_FindsWhatIsWrong is the negative control of the test above.
func TestMisuses_FindsWhatIsWrong(t *testing.T) {
	golden := map[string]instrument{
		"a": {name: "a", prometheus: "app_a_total", kind: "counter", attributes: []string{"x.y"}},
		"h": {name: "h", prometheus: "spillway_h_seconds", kind: "histogram"},
	}
	for expr, want := range map[string]string{
		`sum by (x_y, instance) (rate(app_a_total{x_y="1",job="j"}[5m]))`:                "[]",
		`histogram_quantile(0.9, sum by (le) (rate(spillway_h_seconds_bucket[5m]))) > 2`: "[]",
		`sum by (anything) (mysql_up)`:                                                   "[]",
		`sum(rate(app_b_total[5m]))`:                                                     "[app_b_total]",
		`app_a > 0 or app_a_total_sum > 0`:                                               "[app_a app_a_total_sum]",
		`rate(spillway_h_seconds[5m])`:                                                   "[spillway_h_seconds]",
		`app_a_total{z="1"}`:                                                             "[label z of app_a_total]",
		`sum by (z) (app_a_total)`:                                                       "[label z]",
	} {
		if _, wrong := misuses(expr, golden); fmt.Sprint(wrong) != want {
			t.Errorf("%s: %v; want %s", expr, wrong, want)
		}
	}
	got := alertExpressions("- alert: A\n  expr: a > 1\n  for: 1m\n- alert: B\n  expr: |\n    b\n      / c\n  for: 1m\n")
	if want := []string{"a > 1", "| b / c"}; !slices.Equal(got, want) {
		t.Errorf("the expressions are %q; want %q", got, want)
	}
}
