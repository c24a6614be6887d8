// Package score computes the network score as the monolith does: in SQL, in one transaction, from the rows as they are.
package score

import (
	"context"
	"fmt"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

// FormulaVersion is the formula that this package computes.
const FormulaVersion = "v1.0"

// Compute leaves table score_result in the transaction: the scores, as of an instant, of the eligible ones of the
// principals; nil: of everybody.
//
//	principal_id, ties, quality, position, stability, trust (each 0 to 1), penalty (0 to 30), score (0 to 100)
//
// A contact with a confidence that is none is a gate.Rejection with the row named.
func Compute(ctx context.Context, tx pgx.Tx, asOf time.Time, principals []int64) error {
	owners := func() error { _, err := tx.Exec(ctx, ownersAll); return err }
	if principals != nil {
		owners = func() error { _, err := tx.Exec(ctx, ownersNear, principals); return err }
	}
	for _, step := range []struct {
		table string
		run   func() error
	}{
		{"score_eligible", func() error { _, err := tx.Exec(ctx, eligible); return err }},
		{"score_owner", owners},
		{"score_edge", func() error { _, err := tx.Exec(ctx, edges, asOf); return err }},
		{"", func() error { return refuseUnusable(ctx, tx) }},
		{"score_tie", func() error { _, err := tx.Exec(ctx, ties, asOf); return err }},
		{"score_mutual", func() error { _, err := tx.Exec(ctx, mutual); return err }},
		{"score_strength", func() error { _, err := tx.Exec(ctx, strengths); return err }},
		{"score_parts", func() error { _, err := tx.Exec(ctx, tieParts); return err }},
		{"score_result", func() error { _, err := tx.Exec(ctx, results, asOf); return err }},
	} {
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.table, err)
		}
		if step.table == "" {
			continue
		}
		if _, err := tx.Exec(ctx, "ANALYZE "+step.table); err != nil {
			return err
		}
	}
	return nil
}

func refuseUnusable(ctx context.Context, tx pgx.Tx) error {
	var contact int64
	var confidence *string
	err := tx.QueryRow(ctx, unusable).Scan(&contact, &confidence)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	text := "null"
	if confidence != nil {
		text = *confidence
	}
	return gate.Rejection{Reason: fmt.Sprintf("app.contacts: contact_id %d has the confidence %s, expected 0 to 1", contact, text)}
}
