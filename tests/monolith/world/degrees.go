package world

import (
	"math"
	"sort"
)

// Number of contacts of an owner, as in the field: a lognormal body, and a share of accounts that are hardly used.
// Together: p95 about 524, p99 about 1,224, Gini coefficient 0.675.
const (
	hardlyUsedShare = 0.231
	hardlyUsedMean  = 8.0
	fieldP95        = 524.0
	fieldP99        = 1224.0
)

// degreeScale makes the 99th percentile of a small world half of it; 1 in a world large enough.
func degreeScale(principals int) float64 {
	return math.Min(1, float64(principals-1)/(2*fieldP99))
}

// Degrees returns the number of contacts of each of n owners, in random order. The quantiles of the distribution are
// taken at even steps, so that even a small world has its shape.
func Degrees(n int, random *Random) []int {
	degrees := make([]int, n)
	scale := degreeScale(n)
	body := n - int(math.Round(hardlyUsedShare*float64(n)))
	z95 := normalQuantile(1 - 0.05/(1-hardlyUsedShare))
	z99 := normalQuantile(1 - 0.01/(1-hardlyUsedShare))
	sigma := math.Log(fieldP99/fieldP95) / (z99 - z95)
	mu := math.Log(fieldP95) - sigma*z95
	for i := range degrees {
		var degree float64
		if i < body {
			degree = math.Exp(mu + sigma*normalQuantile((float64(i)+0.5)/float64(body)))
		} else {
			degree = -hardlyUsedMean * math.Log(1-(float64(i-body)+0.5)/float64(n-body))
		}
		degrees[i] = int(math.Round(degree * scale))
	}
	for i := n - 1; i > 0; i-- {
		j := random.Intn(i + 1)
		degrees[i], degrees[j] = degrees[j], degrees[i]
	}
	return degrees
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// Gini returns the Gini coefficient of the numbers, 0 for all equal.
func Gini(numbers []int) float64 {
	sorted := append([]int(nil), numbers...)
	sort.Ints(sorted)
	n := float64(len(sorted))
	sum, weighted := 0.0, 0.0
	for i, number := range sorted {
		sum += float64(number)
		weighted += (2*float64(i+1) - n - 1) * float64(number)
	}
	if sum == 0 {
		return 0
	}
	return weighted / (n * sum)
}

// Percentile returns the smallest number that at least the share p of the numbers does not exceed.
func Percentile(numbers []int, p float64) int {
	sorted := append([]int(nil), numbers...)
	sort.Ints(sorted)
	at := int(math.Ceil(p*float64(len(sorted)))) - 1
	if at < 0 {
		at = 0
	}
	return sorted[at]
}
