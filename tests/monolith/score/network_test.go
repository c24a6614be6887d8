package score

import (
	"context"
	"testing"
	"time"

	"cutover/monolith/dbtest"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var instant = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func daysBefore(days float64) time.Time {
	return instant.Add(-time.Duration(days * 24 * float64(time.Hour)))
}

// network is a world of few rows in a database of its own.
type network struct {
	t    *testing.T
	pool *pgxpool.Pool
}

func newNetwork(t *testing.T) network {
	t.Helper()
	return network{t, dbtest.New(t)}
}

// clear throws all rows away, for the next case.
func (n network) clear() {
	n.run(`TRUNCATE app.principals, app.profiles, app.channels, app.contacts, app.circles, app.circle_members,
		app.cases, app.trust_incidents RESTART IDENTITY`)
}

func (n network) run(sql string, arguments ...interface{}) {
	n.t.Helper()
	dbtest.Run(n.t, n.pool, sql, arguments...)
}

// people have ids from first to last, and a profile of class single.
func (n network) people(first, last int) {
	n.t.Helper()
	n.run("INSERT INTO app.principals (principal_id) SELECT generate_series($1::bigint, $2)", first, last)
	n.run(`INSERT INTO app.profiles (owner_principal_id, profile_class) SELECT generate_series($1::bigint, $2), 'single'`, first, last)
}

// tie is a confirmed contact with evidence of today, first seen some days ago.
func (n network) tie(owner, target int, confidence, seenDays float64) {
	n.t.Helper()
	n.run(`INSERT INTO app.contacts (owner_id, target_id, state, confidence, first_seen_at, last_evidence_at)
		VALUES ($1, $2, 'active_confirmed', $3, $4, $5)`, owner, target, confidence, daysBefore(seenDays), instant)
}

func (n network) mutual(a, b int, confidence float64) {
	n.t.Helper()
	n.tie(a, b, confidence, 100)
	n.tie(b, a, confidence, 100)
}

func (n network) verified(principal int, kind string, days float64) {
	n.t.Helper()
	n.run(`INSERT INTO app.channels (principal_id, kind, value, state, verified_at) VALUES ($1, $2, 'x', 'verified_active', $3)`,
		principal, kind, daysBefore(days))
}

// result is a row of score_result.
type result struct {
	ties                                                int64
	quality, position, stability, trust, penalty, score float64
}

func (n network) compute(principals ...int64) (map[int64]result, error) {
	all := map[int64]result{}
	err := n.pool.BeginFunc(context.Background(), func(tx pgx.Tx) error {
		if err := Compute(context.Background(), tx, instant, principals); err != nil {
			return err
		}
		rows, err := tx.Query(context.Background(),
			"SELECT principal_id, ties, quality, position, stability, trust, penalty, score FROM score_result")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			var r result
			if err := rows.Scan(&id, &r.ties, &r.quality, &r.position, &r.stability, &r.trust, &r.penalty, &r.score); err != nil {
				return err
			}
			all[id] = r
		}
		return rows.Err()
	})
	return all, err
}

func (n network) scores(principals ...int64) map[int64]result {
	n.t.Helper()
	all, err := n.compute(principals...)
	if err != nil {
		n.t.Fatal(err)
	}
	return all
}
