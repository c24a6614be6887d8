package world

import "math"

const (
	reciprocatedShare = 0.55 // of those who know me, whom I know too
	neighbourShare    = 0.6  // of the others, from my neighbourhood
)

// Ties returns for each principal (by index) the indexes of the principals that it knows, each once, never itself.
// counts[u] is how many; at most all others. Neighbours by index know each other more often than strangers do.
func Ties(counts []int, random *Random) [][]int32 {
	n := len(counts)
	ties := make([][]int32, n)
	knownBy := make([][]int32, n)
	seen := make([]int32, n)      // seen[v] == u+1: u knows v already
	for u := n - 1; u >= 0; u-- { // the largest owner, index 0, comes last
		wanted := counts[u]
		if wanted > n-1 {
			wanted = n - 1
		}
		mine := make([]int32, 0, wanted)
		add := func(v int) {
			if v != u && seen[v] != int32(u+1) {
				seen[v] = int32(u + 1)
				mine = append(mine, int32(v))
				knownBy[v] = append(knownBy[v], int32(u))
			}
		}
		for _, v := range knownBy[u] {
			if len(mine) < wanted && random.Chance(reciprocatedShare) {
				add(int(v))
			}
		}
		reach := 2*wanted + 20
		for tries := 0; len(mine) < wanted && tries < 4*wanted; tries++ {
			if reach < n && random.Chance(neighbourShare) {
				add((u + n + random.Intn(reach+1) - reach/2) % n)
			} else {
				add(random.Intn(n))
			}
		}
		// Who knows nearly everybody: the rest in order, from a random start.
		for v, steps := random.Intn(n), 0; len(mine) < wanted && steps < n; v, steps = (v+1)%n, steps+1 {
			add(v)
		}
		ties[u] = mine
	}
	return ties
}

// share rounds part of whole to a number, never above whole.
func share(whole int, part float64) int {
	return int(math.Min(float64(whole), math.Round(float64(whole)*part)))
}
