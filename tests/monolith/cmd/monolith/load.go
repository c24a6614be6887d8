package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cutover/monolith/traffic"

	"github.com/jackc/pgx/v4/pgxpool"
)

type loadOptions struct {
	pace        traffic.Pace
	limits      traffic.Limits
	settings    traffic.Settings
	importSize  int
	importOwner int64
	importQuiet bool
	askAll      bool
}

// choose reads the domains: cases alone, or among the other changes.
func (o *loadOptions) choose(list string) error {
	chosen := map[string]bool{}
	for _, name := range strings.Split(list, ",") {
		if name != "search" && name != "score" && name != "dispute" {
			return usagef("--domains: unknown domain %q", name)
		}
		chosen[name] = true
	}
	o.settings.Scores = chosen["score"]
	switch {
	case chosen["dispute"] && len(chosen) == 1:
		o.settings.Cases = 1
	case chosen["dispute"]:
		o.settings.Cases = 0.2
	}
	return nil
}

func load(ctx context.Context, arguments []string) error {
	set, pgURL := newFlags("load")
	var o loadOptions
	set.Float64Var(&o.pace.Rate, "rate", 100, "`events` per second on average; 0: as many as possible")
	set.BoolVar(&o.pace.Bursts, "bursts", false, "a tenth of the time has all the events")
	seconds := set.Float64("seconds", 0, "`duration`; 0: until SIGTERM or --events")
	set.IntVar(&o.limits.Events, "events", 0, "stop after about this `number`; 0: no limit")
	set.Int64Var(&o.settings.Seed, "seed", 1, "`seed` of the changes")
	set.IntVar(&o.settings.ImportSize, "import-size", 100, "`contacts` of an ordinary import, at most")
	set.IntVar(&o.importSize, "import", 0,
		"besides, one owner imports this `number` of contacts as fast as possible")
	set.Int64Var(&o.importOwner, "import-owner", 3, "the principal `id` of that owner")
	set.BoolVar(&o.importQuiet, "import-quiet", false,
		"that import writes contact.sync_completed only, no event for each contact")
	set.Float64Var(&o.settings.Duplicates, "duplicates", 0,
		"`share` of events that are written twice, with another event id")
	set.Float64Var(&o.settings.Malformed, "malformed", 0, "broken messages besides, as a `share` of the events")
	domains := set.String("domains", "search",
		"`what` the changes are for, with commas: search, score (with requests to compute), dispute (cases)")
	set.Float64Var(&o.settings.OldCases, "old-cases", 0.5, "`share` of the cases that were opened up to 12 days ago")
	ahead := set.Float64("ahead", 0,
		"`days` from now that cases happen on, evidence hours and days after them; 0: evidence comes now")
	set.Float64Var(&o.settings.Poisoned, "poisoned", 0, "`share` of the cases that lack evidence")
	set.BoolVar(&o.askAll, "batch", false, "ask for everybody's scores at the end")
	if err := parse(set, arguments); err != nil {
		return err
	}
	if err := o.choose(*domains); err != nil {
		return err
	}
	if *ahead < 0 || *ahead > 3650 {
		return usagef("--ahead: %g is not from 0 to 3,650", *ahead)
	}
	o.settings.Ahead = time.Duration(*ahead * 24 * float64(time.Hour))
	o.limits.Time = time.Duration(*seconds * float64(time.Second))
	if err := o.check(*seconds); err != nil {
		return err
	}
	return o.run(ctx, *pgURL)
}

func (o *loadOptions) check(seconds float64) error {
	switch {
	case o.pace.Rate < 0 || o.pace.Rate > 1e6:
		return usagef("--rate: %g is not from 0 to 1,000,000", o.pace.Rate)
	case o.pace.Rate == 0 && o.pace.Bursts:
		return usagef("--bursts needs a --rate")
	case seconds < 0:
		return usagef("--seconds: %g is below 0", seconds)
	case o.limits.Events < 0:
		return usagef("--events: %d is below 0", o.limits.Events)
	case o.settings.ImportSize < 1:
		return usagef("--import-size: %d is below 1", o.settings.ImportSize)
	case o.importSize < 0:
		return usagef("--import: %d is below 0", o.importSize)
	case o.settings.Duplicates < 0 || o.settings.Duplicates > 1:
		return usagef("--duplicates: %g is not from 0 to 1", o.settings.Duplicates)
	case o.settings.Malformed < 0 || o.settings.Malformed > 1:
		return usagef("--malformed: %g is not from 0 to 1", o.settings.Malformed)
	case o.settings.OldCases < 0 || o.settings.OldCases > 1 || o.settings.Poisoned < 0 || o.settings.Poisoned > 1:
		return usagef("--old-cases and --poisoned are from 0 to 1")
	}
	return nil
}

func (o *loadOptions) run(ctx context.Context, pgURL string) error {
	pool, err := connect(ctx, pgURL, "monolith load", 3)
	if err != nil {
		return err
	}
	defer pool.Close()
	changes, err := traffic.Open(ctx, pool, o.settings)
	if err != nil {
		return err
	}
	start := time.Now()
	imported, err := o.startImport(ctx, pool)
	if err != nil {
		return err
	}
	if err := changes.Run(ctx, o.pace, o.limits); err != nil {
		return err
	}
	if err := changes.Flush(context.Background()); err != nil {
		return err
	}
	if o.askAll {
		if err := changes.RequestAll(context.Background()); err != nil {
			return err
		}
	}
	tally := changes.Tally
	if err := imported(&tally); err != nil {
		return err
	}
	elapsed := time.Since(start).Seconds()
	return printJSON(struct {
		traffic.Tally
		Seconds float64 `json:"seconds"`
		Rate    float64 `json:"rate"`
	}{tally, elapsed, float64(tally.Events) / elapsed})
}

// startImport begins the large import; the returned function waits for its end and adds what it did.
func (o *loadOptions) startImport(ctx context.Context, pool *pgxpool.Pool) (func(*traffic.Tally) error, error) {
	if o.importSize == 0 {
		return func(*traffic.Tally) error { return nil }, nil
	}
	settings := o.settings
	settings.Seed++
	importer, err := traffic.Open(ctx, pool, settings)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- importer.Import(ctx, o.importOwner, o.importSize, o.importQuiet) }()
	return func(tally *traffic.Tally) error {
		if err := <-done; err != nil {
			return fmt.Errorf("import of owner %d: %w", o.importOwner, err)
		}
		tally.Add(importer.Tally)
		return nil
	}, nil
}
