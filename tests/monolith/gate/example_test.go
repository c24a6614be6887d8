package gate_test

import (
	"context"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/nats-io/nats.go"
)

func work(context.Context, pgx.Tx, *gate.Message) error { return nil }

// What a consumer of the monolith changes: it asks the gate instead of beginning a transaction of its own.
func Example() {
	var (
		ctx      context.Context
		database *pgxpool.Pool
		raw      *nats.Msg // a delivery
		created  time.Time // of its stream, from the broker
	)
	g := &gate.Gate{Worker: "search-projector", Instance: "backend-1", Build: "4.2",
		Events: map[string]bool{"profile.updated": true}}
	incarnation, err := gate.Incarnation(ctx, database, "CORE", created) // once, when it subscribes
	if err != nil {
		return
	}

	message, err := gate.NewMessage(raw, "profile", incarnation)
	if err != nil {
		_ = raw.Term()
		return
	}
	outcome, err := g.Process(ctx, database, message, work) // claim, work and settlement in one transaction
	switch {
	case err != nil: // PostgreSQL is away, or an operator must act: keep it
	case outcome.RetryAfter > 0:
		_ = raw.NakWithDelay(outcome.RetryAfter)
	default:
		_ = raw.Ack()
	}
}
