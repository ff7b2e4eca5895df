package load

import (
	"math/rand/v2"
	"testing"
)

// TestDrawPage_Weights checks that pages are as frequent as their weights, 19 in all.
func TestDrawPage_Weights(t *testing.T) {
	t.Parallel()
	const draws = 190_000
	random := rand.New(rand.NewPCG(1, 2))
	var counts [len(pageWeights)]int
	for range draws {
		counts[drawPage(random)]++
	}
	for p, weight := range pageWeights {
		if want := weight * draws / 19; counts[p] < want*95/100 || counts[p] > want*105/100 {
			t.Errorf("page %d was drawn %d times, want about %d", p, counts[p], want)
		}
	}
}
