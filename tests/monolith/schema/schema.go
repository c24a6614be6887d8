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

// Apply makes schema app. It needs the roles of cutover's migrations.
func Apply(ctx context.Context, tx pgx.Tx) error {
	var migrated bool
	if err := tx.QueryRow(ctx, "SELECT to_regnamespace('cutover') IS NOT NULL").Scan(&migrated); err != nil {
		return err
	}
	if !migrated {
		return fmt.Errorf("the database has no schema cutover; run scripts/migrate first")
	}
	if _, err := tx.Exec(ctx, App); err != nil {
		return fmt.Errorf("schema app: %w", err)
	}
	return nil
}
