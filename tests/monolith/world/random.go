package world

import (
	"math"
	"time"
)

// Random is a small deterministic generator (splitmix64), cheap enough to seed one for every row.
type Random struct{ state uint64 }

// NewRandom mixes the parts, so that (seed, table, row) each lead to a stream of their own.
func NewRandom(parts ...int64) *Random {
	r := &Random{}
	for _, part := range parts {
		r.state = r.Uint64() ^ uint64(part)
	}
	r.Uint64()
	return r
}

// Uint64 returns 64 random bits.
func (r *Random) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Float64 returns a number in [0, 1).
func (r *Random) Float64() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// Intn returns a number in [0, n); n must be positive.
func (r *Random) Intn(n int) int { return int(r.Uint64() % uint64(n)) }

// Chance is true with probability p.
func (r *Random) Chance(p float64) bool { return r.Float64() < p }

// Exponential returns a number with the given mean.
func (r *Random) Exponential(mean float64) float64 { return -mean * math.Log1p(-r.Float64()) }

// timeBetween returns a time, in whole microseconds as PostgreSQL keeps them.
func (r *Random) timeBetween(from, to time.Time) time.Time {
	return from.Add(time.Duration(r.Float64() * float64(to.Sub(from)))).Truncate(time.Microsecond)
}

// Word returns one of the words.
func (r *Random) Word(words []string) string { return words[r.Intn(len(words))] }

// Weighted returns an index, index i with probability weights[i] of their sum.
func (r *Random) Weighted(weights []float64) int {
	sum := 0.0
	for _, weight := range weights {
		sum += weight
	}
	at := r.Float64() * sum
	for i, weight := range weights {
		if at < weight {
			return i
		}
		at -= weight
	}
	return len(weights) - 1
}
