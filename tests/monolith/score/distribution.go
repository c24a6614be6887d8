package score

import (
	"context"

	"github.com/jackc/pgx/v4"
)

// Distribution is how scores spread. Percentiles are values that occur.
type Distribution struct {
	Principals int64   `json:"principals"`
	Mean       float64 `json:"mean"`
	P10        float64 `json:"p10"`
	P50        float64 `json:"p50"`
	P90        float64 `json:"p90"`
	Lowest     float64 `json:"lowest"`
	Highest    float64 `json:"highest"`
}

// Spread reads the distribution of what Compute left in the transaction.
func Spread(ctx context.Context, tx pgx.Tx) (Distribution, error) {
	var d Distribution
	err := tx.QueryRow(ctx, `
		SELECT count(*), coalesce(avg(score), 0),
		       coalesce(percentile_disc(0.1) WITHIN GROUP (ORDER BY score), 0),
		       coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY score), 0),
		       coalesce(percentile_disc(0.9) WITHIN GROUP (ORDER BY score), 0),
		       coalesce(min(score), 0), coalesce(max(score), 0)
		FROM score_result`).Scan(&d.Principals, &d.Mean, &d.P10, &d.P50, &d.P90, &d.Lowest, &d.Highest)
	return d, err
}
