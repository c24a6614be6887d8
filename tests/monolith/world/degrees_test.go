package world

import (
	"math"
	"testing"
)

func TestDegreesHaveTheDistributionOfTheField(t *testing.T) {
	degrees := Degrees(20_000, NewRandom(1))
	if p95 := Percentile(degrees, 0.95); math.Abs(float64(p95)-524) > 10 {
		t.Errorf("p95 is %d, expected about 524", p95)
	}
	if p99 := Percentile(degrees, 0.99); math.Abs(float64(p99)-1224) > 20 {
		t.Errorf("p99 is %d, expected about 1,224", p99)
	}
	if gini := Gini(degrees); math.Abs(gini-0.675) > 0.005 {
		t.Errorf("Gini coefficient is %.4f, expected 0.675", gini)
	}
}

func TestASmallWorldHasTheShapeOfALargeOne(t *testing.T) {
	degrees := Degrees(500, NewRandom(1))
	if p99 := Percentile(degrees, 0.99); p99 < 200 || p99 > 275 {
		t.Errorf("p99 is %d, expected about half of the principals", p99)
	}
	if gini := Gini(degrees); math.Abs(gini-0.675) > 0.03 {
		t.Errorf("Gini coefficient is %.4f, expected 0.675", gini)
	}
}

func TestGiniOfKnownCases(t *testing.T) {
	for _, c := range []struct {
		numbers []int
		want    float64
	}{{[]int{5, 5, 5, 5}, 0}, {[]int{0, 0, 0, 8}, 0.75}, {[]int{0, 0}, 0}} {
		if got := Gini(c.numbers); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Gini(%v) = %g, expected %g", c.numbers, got, c.want)
		}
	}
}

func TestPercentileIsANumberOfTheList(t *testing.T) {
	for p, want := range map[float64]int{0: 1, 0.5: 2, 0.75: 3, 1: 4} {
		if got := Percentile([]int{4, 1, 3, 2}, p); got != want {
			t.Errorf("Percentile(%g) = %d, expected %d", p, got, want)
		}
	}
}
