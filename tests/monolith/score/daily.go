package score

import (
	"context"
	"log"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

// The official batch is asked for every day at this hour, UTC. A worker asks with the same key, and it is one batch.
const dailyHour = 2

// Daily keeps the next day's request in the outbox, as a timer, until the context ends, which is no error.
func Daily(ctx context.Context, database *pgxpool.Pool) error {
	for ctx.Err() == nil {
		if err := ask(ctx, database, nextDaily(time.Now())); err != nil && ctx.Err() == nil {
			log.Printf("daily request: %v; it is tried again", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(gate.BeatEvery):
		}
	}
	return nil
}

// nextDaily is the first time of the day's batch after a moment.
func nextDaily(after time.Time) time.Time {
	after = after.UTC()
	at := time.Date(after.Year(), after.Month(), after.Day(), dailyHour, 0, 0, 0, time.UTC)
	if !at.After(after) {
		at = at.AddDate(0, 0, 1)
	}
	return at
}

func ask(ctx context.Context, database *pgxpool.Pool, at time.Time) error {
	row, err := dailyRequest(at)
	if err != nil {
		return err
	}
	return database.BeginFunc(ctx, func(tx pgx.Tx) error { return gate.WriteOutbox(ctx, tx, []gate.OutboxRow{row}) })
}

func dailyRequest(at time.Time) (gate.OutboxRow, error) {
	id := gate.NewEventID(at)
	row, err := gate.NewOutboxRow(&gate.Event{
		ID: id, Name: "score.recompute_requested", Version: 1, OccurredAt: gate.OccurredAt(at), Producer: "monolith",
		Actor: gate.Actor{ID: "monolith", Type: "system"}, Subject: gate.Subject{Type: "score_snapshot", ID: "score"},
		CorrelationID: id, IdempotencyKey: "daily:" + at.Format("2006-01-02"), TenantScope: "global",
		Payload: []byte(`{"scope":"all","principal_ids":[],"reason":"daily"}`),
	}, "")
	row.AvailableAt, row.TimerKey = at, "monolith:score:daily"
	return row, err
}
