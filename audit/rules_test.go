package audit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spillway/spillway/audit"
)

// TestRules_EachHasADefect fails for a rule without a planted defect, because nothing shows that it finds anything.
func TestRules_EachHasADefect(t *testing.T) {
	for _, rule := range audit.Rules() {
		if !slices.ContainsFunc(slices.Concat(defects, externalDefects), func(d defect) bool {
			return slices.ContainsFunc(d.drained, func(s string) bool { name, _, _ := strings.Cut(s, " "); return name == rule })
		}) {
			t.Errorf("no planted defect violates the rule %s", rule)
		}
	}
}
