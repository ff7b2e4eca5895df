package onlineboutique

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// TestCanBeBought: what is sold out, archived or not on sale yet is neither recommended nor advertised.
func TestCanBeBought(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	s := Shop{Now: func() time.Time { return now }}
	for _, c := range []struct {
		name string
		p    *spillwayv1.Product
		want bool
	}{
		{"on sale", &spillwayv1.Product{Available: 1}, true},
		{"sold out", &spillwayv1.Product{}, false},
		{"archived", &spillwayv1.Product{Available: 1, Archived: true}, false},
		{"since now", &spillwayv1.Product{Available: 1, SaleStartTime: timestamppb.New(now)}, true},
		{"not yet", &spillwayv1.Product{Available: 1, SaleStartTime: timestamppb.New(now.Add(time.Second))}, false},
	} {
		if got := s.canBeBought(c.p); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
