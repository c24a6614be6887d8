package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"cutover/monolith/score"

	"github.com/jackc/pgx/v4"
)

// scoreCommand computes scores and changes nothing.
func scoreCommand(ctx context.Context, arguments []string) error {
	set, pgURL := newFlags("score")
	asOf := set.String("as-of", "", "the instant `T`, RFC 3339")
	named := set.String("principals", "", "only these `ids`, with commas; default all")
	out := set.String("out", "", "write a line for each principal to this `file`, CSV; - is standard output")
	if err := parse(set, arguments); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, *asOf)
	if err != nil {
		return usagef("--as-of: %q is no RFC 3339 time such as 2026-01-31T00:00:00Z", *asOf)
	}
	principals, err := parseIDs(*named)
	if err != nil {
		return err
	}
	pool, err := connect(ctx, *pgURL, "monolith score", 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	start := time.Now()
	var spread score.Distribution
	// One snapshot for all statements.
	err = pool.BeginTxFunc(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if err := score.Compute(ctx, tx, at, principals); err != nil {
			return err
		}
		if spread, err = score.Spread(ctx, tx); err != nil {
			return err
		}
		return writeScores(ctx, tx, *out)
	})
	if err != nil || *out == "-" {
		return err
	}
	return printJSON(struct {
		score.Distribution
		FormulaVersion string  `json:"formula_version"`
		AsOf           string  `json:"as_of"`
		Seconds        float64 `json:"seconds"`
	}{spread, score.FormulaVersion, at.UTC().Format(time.RFC3339Nano), time.Since(start).Seconds()})
}

func parseIDs(list string) ([]int64, error) {
	if list == "" {
		return nil, nil
	}
	var ids []int64
	for _, text := range strings.Split(list, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, usagef("--principals: %q is no whole number", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func writeScores(ctx context.Context, tx pgx.Tx, path string) error {
	var to io.Writer
	switch path {
	case "":
		return nil
	case "-":
		to = os.Stdout
	default:
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		defer file.Close()
		to = file
	}
	buffered := bufio.NewWriter(to)
	if _, err := tx.Conn().PgConn().CopyTo(ctx, buffered, `
		COPY (SELECT principal_id, ties, quality, position, stability, trust, penalty, score
		      FROM score_result ORDER BY principal_id) TO STDOUT (FORMAT csv, HEADER)`); err != nil {
		return err
	}
	return buffered.Flush()
}
