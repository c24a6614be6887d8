// Package effects stands for a consumer whose work can be counted: each event leaves a row in table effects and one
// outgoing event. Tests of hand-overs run it against a worker that does the same.
package effects

import (
	"context"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

// Handler applies events; emit names the outgoing event.
func Handler(emit string) gate.Handler {
	return func(ctx context.Context, tx pgx.Tx, m *gate.Message) error {
		cause := m.Event()
		if _, err := tx.Exec(ctx, `
			INSERT INTO effects (idempotency_key, event_id, n, side, sequence, key, version)
			VALUES ($1, $2, 0, 'monolith', $3, $4, $5)`,
			cause.IdempotencyKey, cause.ID, m.Sequence, m.Key(), cause.Subject.Version); err != nil {
			return err
		}
		now := time.Now()
		noted := gate.Event{
			ID: gate.NewEventID(now), Name: emit, Version: 1, OccurredAt: gate.OccurredAt(now), Producer: "monolith",
			Actor:         gate.Actor{ID: "system", Type: "system"},
			Subject:       gate.Subject{Type: "effect", ID: cause.Subject.ID, Version: cause.Subject.Version},
			CorrelationID: cause.CorrelationID, CausationID: cause.ID, IdempotencyKey: cause.IdempotencyKey,
			TenantScope: "global", Payload: []byte("{}"),
		}
		row, err := gate.NewOutboxRow(&noted, m.Header.Get("traceparent"))
		if err != nil {
			return err
		}
		return gate.WriteOutbox(ctx, tx, []gate.OutboxRow{row})
	}
}
