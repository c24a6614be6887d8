package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"cutover/monolith/schema"
	"cutover/monolith/world"
)

func seed(ctx context.Context, arguments []string) error {
	set, pgURL := newFlags("seed")
	principals := set.Int("world", 1000, "`number` of principals")
	seedNumber := set.Int64("seed", 1, "`seed`; the same seed, size and --as-of give the same rows")
	largest := set.Int("largest", 0,
		"`contacts` of principal 1, default as many as principals; principal 2 has five")
	unresolved := set.Float64("unresolved", 0.2, "`share` of the contacts that are no principals, 0 to 1")
	asOf := set.String("as-of", "",
		"newest time in any row, RFC 3339, default the last midnight UTC; ratings keep their times without it")
	ratings := set.String("ratings", "", "build the world from the source,target,rating,time lines of this `file`")
	ratingDays := set.Float64("rating-days", 0,
		"scale the times of the ratings linearly into this `number` of days before --as-of; 0: move them only")
	replace := set.Bool("replace", false, "throw the world away that is there")
	if err := parse(set, arguments); err != nil {
		return err
	}
	plan := world.Plan{Principals: *principals, Seed: *seedNumber, LargestOwner: *largest, Unresolved: *unresolved,
		AsOf: time.Now().UTC().Truncate(24 * time.Hour)}
	if plan.LargestOwner == 0 {
		plan.LargestOwner = plan.Principals
	}
	if *asOf != "" {
		at, err := time.Parse(time.RFC3339, *asOf)
		if err != nil {
			return usagef("--as-of: %q is no RFC 3339 time such as 2026-01-31T00:00:00Z", *asOf)
		}
		plan.AsOf = at.UTC()
	}
	start := time.Now()
	if *ratingDays < 0 || *ratingDays > 36500 || (*ratingDays > 0 && (*ratings == "" || *asOf == "")) {
		return usagef("--rating-days: it is from 0 to 36,500 and needs --ratings and --as-of")
	}
	rows, err := makeWorld(plan, *ratings, *asOf != "", *ratingDays)
	if err != nil {
		return err
	}
	pool, err := connect(ctx, *pgURL, "monolith seed", 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.Background())
	if err := schema.Apply(ctx, tx); err != nil {
		return err
	}
	counts, err := world.Load(ctx, tx, rows, *replace)
	if err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, `ANALYZE app.principals, app.profiles, app.channels, app.contacts,
		app.circles, app.circle_members, app.cases, app.trust_incidents`); err != nil {
		return err
	}
	return printJSON(struct {
		Rows    world.Counts `json:"rows"`
		Seconds float64      `json:"seconds"`
	}{counts, time.Since(start).Seconds()})
}

func makeWorld(plan world.Plan, ratings string, shift bool, days float64) (world.World, error) {
	if ratings == "" {
		generated, err := world.Generate(plan)
		if err != nil {
			return nil, usageError{err}
		}
		return generated, nil
	}
	file, err := os.Open(ratings)
	if err != nil {
		return nil, fmt.Errorf("--ratings: %w", err)
	}
	defer file.Close()
	rated, err := world.ReadRatings(file, plan.Seed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ratings, err)
	}
	switch {
	case days > 0:
		rated.ScaleInto(plan.AsOf.Add(-time.Duration(days*24*float64(time.Hour))), plan.AsOf)
	case shift:
		rated.EndAt(plan.AsOf)
	}
	return rated, nil
}
