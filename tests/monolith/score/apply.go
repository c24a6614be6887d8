package score

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

// incrementalMax is how many principals an incremental computes at most beside those that are named.
const incrementalMax = 5000

// Apply computes what a request asks for and makes it visible, in the event's transaction.
func Apply(ctx context.Context, tx pgx.Tx, m *gate.Message) error {
	asked, err := readRequest(m.Event())
	if err != nil {
		return err
	}
	if asked.everybody {
		return batch(ctx, tx, m, asked)
	}
	return incremental(ctx, tx, m, asked)
}

func batch(ctx context.Context, tx pgx.Tx, m *gate.Message, asked request) error {
	event := m.Event()
	var run int64
	if err := tx.QueryRow(ctx, `
		INSERT INTO serving.score_runs (side, state, phase, as_of, formula, stream, incarnation, sequence, key, event_id,
		  event_name, tenant_scope, correlation_id, actor_id, actor_type, attempt, started_at, read_at, progressed_at)
		VALUES ('monolith', 'running', 'computing', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, now(), now(), now())
		RETURNING run_id`, asked.asOf, FormulaVersion, m.Stream, m.Incarnation, m.Sequence, m.Key(), event.ID, event.Name,
		event.TenantScope, event.CorrelationID, event.Actor.ID, event.Actor.Type).Scan(&run); err != nil {
		return err
	}
	if err := Compute(ctx, tx, asked.asOf, nil); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO serving.score_results (run_id, principal_id, score, quality, position, stability, trust, penalty, edges)
		SELECT $1, principal_id, score, quality, position, stability, trust, penalty, ties FROM score_result
		ORDER BY principal_id`, run); err != nil {
		return err
	}
	spread, err := Spread(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		UPDATE serving.score_runs SET principals = $2, done = $2, total = $2, summary = $3::jsonb,
		       edges = (SELECT coalesce(sum(ties), 0) FROM score_result)
		WHERE run_id = $1`, run, spread.Principals, string(mustJSON(spread))); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "SELECT serving.publish_score_run($1, 1)", run); err != nil {
		return err
	}
	return announce(ctx, tx, m, "score.snapshot_published", fmt.Sprint(run), struct {
		RunID          int64        `json:"run_id"`
		AsOf           string       `json:"as_of"`
		FormulaVersion string       `json:"formula_version"`
		Principals     int64        `json:"principals"`
		Distribution   Distribution `json:"distribution"`
	}{run, gate.OccurredAt(asked.asOf), FormulaVersion, spread.Principals, spread})
}

func incremental(ctx context.Context, tx pgx.Tx, m *gate.Message, asked request) error {
	wanted, whole, err := neighbourhood(ctx, tx, asked.principals)
	if err != nil {
		return err
	}
	if len(wanted) > 0 {
		if err := Compute(ctx, tx, asked.asOf, wanted); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, writeUpdates, asked.asOf, wanted, m.Stream, m.Sequence, FormulaVersion); err != nil {
			return err
		}
	}
	if !whole {
		if err := announce(ctx, tx, m, "score.recompute_requested", "ripple:"+m.Event().ID, struct {
			Scope  string `json:"scope"`
			Reason string `json:"reason"`
		}{"all", "too many neighbours"}); err != nil {
			return err
		}
	}
	return announce(ctx, tx, m, "score.incremental_computed", m.Event().Subject.ID, struct {
		AsOf           string  `json:"as_of"`
		FormulaVersion string  `json:"formula_version"`
		Principals     int     `json:"principals"`
		Named          []int64 `json:"principal_ids"`
	}{gate.OccurredAt(asked.asOf), FormulaVersion, len(wanted), asked.principals})
}

// writeUpdates makes rows of the results, and of those who are not eligible any more. Two requests of one instant see the
// same rows or newer ones: the later one counts.
const writeUpdates = `
	INSERT INTO serving.score_updates AS o (principal_id, as_of, gone, score, quality, position, stability, trust, penalty, edges,
	  formula, stream, sequence)
	SELECT w.id, $1, r.principal_id IS NULL, coalesce(r.score, 0), coalesce(r.quality, 0), coalesce(r.position, 0),
	       coalesce(r.stability, 0), coalesce(r.trust, 0), coalesce(r.penalty, 0), coalesce(r.ties, 0), $5, $3, $4
	FROM unnest($2::bigint[]) w (id) LEFT JOIN score_result r ON r.principal_id = w.id ORDER BY w.id
	ON CONFLICT (principal_id, as_of) DO UPDATE
	  SET (gone, score, quality, position, stability, trust, penalty, edges, formula, stream, sequence, computed_at) =
	      (excluded.gone, excluded.score, excluded.quality, excluded.position, excluded.stability, excluded.trust,
	       excluded.penalty, excluded.edges, excluded.formula, excluded.stream, excluded.sequence, now())`

// neighbourhood returns the named and whoever an edge joins to one of them, ascending; above incrementalMax the named only,
// and false.
func neighbourhood(ctx context.Context, tx pgx.Tx, named []int64) (ids []int64, whole bool, err error) {
	rows, err := tx.Query(ctx, `
		WITH named AS (SELECT DISTINCT id FROM unnest($1::bigint[]) n (id)),
		edge AS (
		  SELECT c.owner_id, c.target_id FROM app.contacts c
		  WHERE (c.owner_id IN (SELECT id FROM named) OR c.target_id IN (SELECT id FROM named))
		    AND c.target_id <> c.owner_id AND NOT c.contested AND c.state IN ('active_confirmed', 'active_probable', 'stale_decay')),
		person AS (
		  SELECT p.principal_id AS id FROM app.principals p
		  WHERE p.status = 'active' AND EXISTS (
		    SELECT FROM app.profiles f
		    WHERE f.owner_principal_id = p.principal_id AND f.profile_class IN ('single', 'employee')))
		SELECT id, true FROM named
		UNION
		SELECT e.other, false
		FROM (SELECT owner_id AS one, target_id AS other FROM edge UNION SELECT target_id, owner_id FROM edge) e
		JOIN person a ON a.id = e.one JOIN person b ON b.id = e.other
		WHERE e.one IN (SELECT id FROM named) AND e.other NOT IN (SELECT id FROM named)
		ORDER BY 1`, named)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	var only []int64
	for rows.Next() {
		var id int64
		var isNamed bool
		if err := rows.Scan(&id, &isNamed); err != nil {
			return nil, false, err
		}
		ids = append(ids, id)
		if isNamed {
			only = append(only, id)
		}
	}
	if len(ids) > incrementalMax {
		return only, false, rows.Err()
	}
	return ids, true, rows.Err()
}

func announce(ctx context.Context, tx pgx.Tx, m *gate.Message, name, subject string, payload interface{}) error {
	now := time.Now()
	cause := m.Event()
	row, err := gate.NewOutboxRow(&gate.Event{
		ID: gate.NewEventID(now), Name: name, Version: 1, OccurredAt: gate.OccurredAt(now), Producer: "monolith",
		Actor: cause.Actor, Subject: gate.Subject{Type: "score", ID: subject, Version: 1},
		CorrelationID: cause.CorrelationID, CausationID: cause.ID,
		IdempotencyKey: fmt.Sprintf("%s:%s/%d/%d", name, m.Stream, m.Incarnation, m.Sequence),
		TenantScope:    cause.TenantScope, Payload: mustJSON(payload),
	}, m.Header.Get("traceparent"))
	if err != nil {
		return err
	}
	return gate.WriteOutbox(ctx, tx, []gate.OutboxRow{row})
}

func mustJSON(value interface{}) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic("a payload is no JSON: " + err.Error()) // finite numbers and texts only
	}
	return text
}
