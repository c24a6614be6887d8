// Go with batches: two goroutines by hash of the key, up to 256 events in one statement, keys sorted, acks after the
// commit.
package main

import (
	"context"
	"hash/maphash"
	"sort"
	"sync"

	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/nats-io/nats.go"

	"../go_worker"
)

const batchMax = 256

const apply = `
WITH fresh AS (
  INSERT INTO bench.idempotency (consumer, key)
  SELECT $1, key FROM unnest($2::text[]) AS key
  ON CONFLICT DO NOTHING
  RETURNING key)
INSERT INTO bench.subject_state (subject_id, version, score, updated_at)
SELECT DISTINCT ON (subject_id) subject_id, version, score, now()
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS event (key, subject_id, version, score)
JOIN fresh USING (key)
ORDER BY subject_id, version DESC
ON CONFLICT (subject_id) DO UPDATE
SET version = excluded.version, score = excluded.score, updated_at = excluded.updated_at
WHERE subject_state.version < excluded.version`

type work struct {
	message *nats.Msg
	event   worker.Event
}

// take waits for one event and adds what is here already. Empty once the queue is closed and drained.
func take(queue <-chan *nats.Msg, batch []work) []work {
	batch = batch[:0]
	first, open := <-queue
	if !open {
		return batch
	}
	batch = append(batch, work{first, worker.Parse(first.Data)})
	for len(batch) < batchMax {
		select {
		case next, open := <-queue:
			if !open {
				return batch
			}
			batch = append(batch, work{next, worker.Parse(next.Data)})
		default:
			return batch
		}
	}
	return batch
}

func run(ctx context.Context, pool *pgxpool.Pool, queue <-chan *nats.Msg, puller *worker.Puller, measurement *worker.Measurement) {
	batch := make([]work, 0, batchMax)
	keys, subjects := make([]string, batchMax), make([]string, batchMax)
	versions, scores, published := make([]int64, batchMax), make([]int64, batchMax), make([]int64, batchMax)
	for {
		batch = take(queue, batch)
		n := len(batch)
		if n == 0 {
			return
		}
		sort.Slice(batch, func(i, j int) bool { return batch[i].event.IdempotencyKey < batch[j].event.IdempotencyKey })
		for i := range batch {
			e := &batch[i].event
			keys[i], subjects[i], versions[i], scores[i] = e.IdempotencyKey, e.Subject.ID, e.Subject.Version, e.Payload.Score
			published[i] = e.Payload.PublishedUs
		}
		_, err := pool.Exec(ctx, apply, "go-batched", keys[:n], subjects[:n], versions[:n], scores[:n])
		worker.Must(err, "applying a batch")
		measurement.Committed(published[:n]...)
		for i := range batch {
			puller.Settled(batch[i].message)
		}
	}
}

func main() {
	o := worker.ParseOptions(2)
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(o.Postgres)
	worker.Must(err, "reading the connection string")
	config.MinConns, config.MaxConns = int32(o.Goroutines), int32(o.Goroutines)
	pool, err := pgxpool.ConnectConfig(ctx, config)
	worker.Must(err, "connecting to PostgreSQL")
	conn, err := nats.Connect(o.Nats)
	worker.Must(err, "connecting to the broker")

	measurement := worker.NewMeasurement("go_batched", o)
	queues := make([]chan *nats.Msg, o.Goroutines)
	for i := range queues {
		queues[i] = make(chan *nats.Msg, 2*batchMax)
	}
	complete := make(chan struct{})
	seed := maphash.MakeSeed()
	var read int64
	puller := worker.Pull(conn, o, func(m *nats.Msg) {
		measurement.Fetched()
		queues[maphash.String(seed, m.Header.Get("Cutover-Key"))%uint64(o.Goroutines)] <- m
		if read++; read == o.Events {
			close(complete)
		}
	})
	var running sync.WaitGroup
	for _, queue := range queues {
		running.Add(1)
		go func(queue <-chan *nats.Msg) {
			defer running.Done()
			run(ctx, pool, queue, puller, measurement)
		}(queue)
	}
	<-complete
	for _, queue := range queues {
		close(queue)
	}
	running.Wait()
	worker.Must(conn.Flush(), "flushing to the broker")
	measurement.Print()
}
