package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v4/pgxpool"
)

// BeatEvery is how often the monolith says that its gate stands. Operators' commands refuse after a minute without.
const BeatEvery = 10 * time.Second

// Heart tells the others that this instance lives: a row in cutover.instances for each gate, and one advisory lock that
// ends with the process.
type Heart struct {
	gates    []*Gate // of one instance
	database *pgxpool.Pool
	lock     *pgxpool.Conn // holds the lock of the instance
}

// NewHeart makes the gates' workers known, should they not be: their events are the monolith's then.
func NewHeart(ctx context.Context, database *pgxpool.Pool, gates ...*Gate) (*Heart, error) {
	for _, gate := range gates {
		if err := gate.Register(ctx, database); err != nil {
			return nil, err
		}
	}
	return &Heart{gates: gates, database: database}, nil
}

// Beat says that the instance is here, and by which vectors it reads messages. detail is what an operator may want to know
// about each gate, a JSON object.
func (h *Heart) Beat(ctx context.Context, ready bool, detail interface{}) error {
	if err := h.holdLock(ctx); err != nil {
		return err
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	for _, gate := range h.gates {
		_, err = h.database.Exec(ctx, `
			INSERT INTO cutover.instances (instance, worker_id, side, build, host, pid, ready, detail)
			SELECT $1, worker_id, 'monolith', $2, $3, $4, $5, $6::jsonb || jsonb_build_object('vectors', $8::text)
			FROM cutover.workers WHERE worker = $7
			ON CONFLICT (instance, worker_id) DO UPDATE
			  SET ready = excluded.ready, detail = excluded.detail, seen_at = now(), stopped_at = NULL`,
			gate.Instance, gate.Build, host, os.Getpid(), ready, string(text), gate.Worker,
			VectorsHash())
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Heart) holdLock(ctx context.Context) error {
	if h.lock != nil {
		if err := h.lock.Conn().Ping(ctx); err == nil {
			return nil
		}
		h.lock.Conn().Close(ctx)
		h.lock.Release()
		h.lock = nil
	}
	connection, err := h.database.Acquire(ctx)
	if err != nil {
		return err
	}
	var held bool
	err = connection.QueryRow(ctx, "SELECT pg_try_advisory_lock(cutover.lock_class_instance(), hashtext($1))",
		h.gates[0].Instance).Scan(&held)
	if err == nil && !held {
		err = fmt.Errorf("another process runs as instance %s", h.gates[0].Instance)
	}
	if err != nil {
		connection.Release()
		return err
	}
	h.lock = connection
	return nil
}

// Stop says that the instance ended by intention.
func (h *Heart) Stop(ctx context.Context) error {
	_, err := h.database.Exec(ctx,
		"UPDATE cutover.instances SET ready = false, seen_at = now(), stopped_at = now() WHERE instance = $1",
		h.gates[0].Instance)
	if h.lock != nil {
		h.lock.Conn().Close(ctx) // ends the session and its lock
		h.lock.Release()
		h.lock = nil
	}
	return err
}

// SettledBelow records that everything of a stream below a sequence is acknowledged on this side, of what is there now;
// math.MaxInt64 when nothing is left.
func (g *Gate) SettledBelow(ctx context.Context, database *pgxpool.Pool, stream string, incarnation int,
	sequence int64) error {
	_, err := database.Exec(ctx, "SELECT cutover.note_settled_below($1, 'monolith', $2, $3, $4)", g.Worker, stream,
		incarnation, sequence)
	return err
}

// SettledBefore records that everything of a stream published before a time is settled on this side: marks may expire.
func (g *Gate) SettledBefore(ctx context.Context, database *pgxpool.Pool, stream string, incarnation int,
	at time.Time) error {
	tag, err := database.Exec(ctx, `
		INSERT INTO cutover.progress AS p (worker_id, stream_id, side, settled_before)
		SELECT w.worker_id, s.stream_id, 'm', $4 FROM cutover.workers w CROSS JOIN cutover.streams s
		WHERE w.worker = $1 AND s.stream = $2 AND s.incarnation = $3
		ON CONFLICT (worker_id, stream_id, side) DO UPDATE
		  SET settled_before = greatest(p.settled_before, excluded.settled_before), at = now()`, g.Worker,
		stream, incarnation, at)
	if err == nil && tag.RowsAffected() == 0 {
		err = errors.New("unknown worker or stream")
	}
	return err
}
