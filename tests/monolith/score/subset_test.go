package score

import (
	"testing"

	"cutover/monolith/world"
)

// What is computed for some is, bit for bit, what is computed for all.
func TestSomeEqualAll(t *testing.T) {
	n := newNetwork(t)
	random := world.NewRandom(7)
	n.people(1, 60)
	for owner := 1; owner <= 60; owner++ {
		for target := 1; target <= 60; target++ {
			if target != owner && random.Chance(0.15) {
				n.tie(owner, target, random.Float64(), 200*random.Float64()*random.Float64())
			}
		}
	}
	all := n.scores()
	if len(all) != 60 {
		t.Fatalf("%d scores", len(all))
	}
	for id := int64(1); id <= 60; id += 7 {
		some := n.scores(id, id+1)
		if len(some) != 2 && id < 60 {
			t.Fatalf("%d scores of two", len(some))
		}
		for one, got := range some {
			if got != all[one] {
				t.Errorf("%d: %+v, of all %+v", one, got, all[one])
			}
		}
	}
}
