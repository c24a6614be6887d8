// Package schema holds the monolith's own tables.
package schema

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v4"
)

// App is the SQL that makes schema app; harmless to apply again.
//
//go:embed app.sql
var App string

// Apply makes schema app.
func Apply(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, App); err != nil {
		return fmt.Errorf("schema app: %w", err)
	}
	return nil
}
