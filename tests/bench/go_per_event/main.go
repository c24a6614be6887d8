// The competent Go worker of today: 32 goroutines on a pool, one statement per event, ack after its commit.
package main

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/nats-io/nats.go"

	"../go_worker"
)

const apply = `
WITH fresh AS (
  INSERT INTO bench.idempotency (consumer, key) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING key)
INSERT INTO bench.subject_state (subject_id, version, score, updated_at)
SELECT $3, $4, $5, now() FROM fresh
ON CONFLICT (subject_id) DO UPDATE
SET version = excluded.version, score = excluded.score, updated_at = excluded.updated_at
WHERE subject_state.version < excluded.version`

func main() {
	o := worker.ParseOptions(32)
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(o.Postgres)
	worker.Must(err, "reading the connection string")
	config.MinConns, config.MaxConns = int32(o.Goroutines), int32(o.Goroutines)
	pool, err := pgxpool.ConnectConfig(ctx, config)
	worker.Must(err, "connecting to PostgreSQL")
	conn, err := nats.Connect(o.Nats)
	worker.Must(err, "connecting to the broker")

	measurement := worker.NewMeasurement("go_per_event", o)
	queue := make(chan *nats.Msg, o.Goroutines)
	complete := make(chan struct{})
	var read int64
	puller := worker.Pull(conn, o, func(m *nats.Msg) {
		measurement.Fetched()
		queue <- m
		if read++; read == o.Events {
			close(complete)
		}
	})
	var running sync.WaitGroup
	for i := 0; i < o.Goroutines; i++ {
		running.Add(1)
		go func() {
			defer running.Done()
			for m := range queue {
				e := worker.Parse(m.Data)
				_, err := pool.Exec(ctx, apply, "go-per-event", e.IdempotencyKey, e.Subject.ID, e.Subject.Version, e.Payload.Score)
				worker.Must(err, "applying an event")
				measurement.Committed(e.Payload.PublishedUs)
				puller.Settled(m)
			}
		}()
	}
	<-complete
	close(queue)
	running.Wait()
	worker.Must(conn.Flush(), "flushing to the broker")
	measurement.Print()
}
