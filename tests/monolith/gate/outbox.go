package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v4"
)

// OutboxRow is a message that leaves when the transaction that wrote it has committed.
type OutboxRow struct {
	MessageID   string
	Subject     string
	Key         string // header Cutover-Key: messages of one key leave in the order of their rows
	Payload     []byte
	Traceparent string // empty for none
	EventID     string
	Priority    int       // 1 leaves first, 9 last; 0: the usual 5
	AvailableAt time.Time // a timer: it leaves then; zero: at once
	TimerKey    string    // of a timer that can be cancelled, or replaced by one with the same key
}

// PriorityBulk is for what nobody waits for one by one, like an import: everything else leaves before it, but for a quarter of each
// turn of the relay, which belongs to the oldest rows.
const PriorityBulk = 8

// NewOutboxRow wraps an event: its subject is its name, its key the subject's id.
func NewOutboxRow(event *Event, traceparent string) (OutboxRow, error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return OutboxRow{}, fmt.Errorf("event %s: %w", event.Name, err)
	}
	return OutboxRow{MessageID: event.ID, Subject: event.Name, Key: event.Subject.ID, Payload: payload,
		Traceparent: traceparent, EventID: event.ID}, nil
}

// A relay that found rows looks again every 20 ms for a second: telling it ten times a second is enough, and a notification in
// every transaction would make PostgreSQL commit them one after the other.
const notifyEvery = 100 * time.Millisecond

var notified atomic.Int64 // when, in nanoseconds since 1970

// notify wakes a sleeping relay when the transaction commits, unless this process has just done so.
func notify(ctx context.Context, tx pgx.Tx) error {
	now, last := time.Now().UnixNano(), notified.Load()
	if now-last < int64(notifyEvery) || !notified.CompareAndSwap(last, now) {
		return nil
	}
	_, err := tx.Exec(ctx, "SELECT pg_notify('cutover_outbox', '')")
	return err
}

// WriteOutbox adds the rows, in order. Whoever writes about an aggregate has locked it before, in the same transaction.
func WriteOutbox(ctx context.Context, tx pgx.Tx, rows []OutboxRow) error {
	if len(rows) == 0 {
		return nil
	}
	messageIDs, subjects, keys := make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	payloads, traces, eventIDs := make([][]byte, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	priorities, timers, available := make([]int64, len(rows)), make([]string, len(rows)), make([]*time.Time, len(rows))
	for i, row := range rows {
		messageIDs[i], subjects[i], keys[i] = row.MessageID, row.Subject, row.Key
		payloads[i], traces[i], eventIDs[i] = row.Payload, row.Traceparent, row.EventID
		priorities[i], timers[i] = int64(row.Priority), row.TimerKey
		if !row.AvailableAt.IsZero() {
			available[i] = &rows[i].AvailableAt
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, event_id, priority, available_at, timer_key)
		SELECT u.message_id, u.subject, u.key, u.payload,
		       CASE WHEN u.traceparent <> '' THEN jsonb_build_object('traceparent', u.traceparent) END,
		       nullif(u.event_id, ''), coalesce(nullif(u.priority, 0), 5), u.available_at, nullif(u.timer_key, '')
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[],
		            $9::text[])
		     WITH ORDINALITY u (message_id, subject, key, payload, traceparent, event_id, priority, available_at, timer_key, ord)
		ORDER BY u.ord
		ON CONFLICT (timer_key) WHERE published_at IS NULL AND timer_key IS NOT NULL DO UPDATE
		  SET (message_id, subject, key, payload, headers, event_id, priority, available_at, created_at, attempts, error) =
		      (excluded.message_id, excluded.subject, excluded.key, excluded.payload, excluded.headers, excluded.event_id,
		       excluded.priority, excluded.available_at, excluded.created_at, 0, NULL)`,
		messageIDs, subjects, keys, payloads, traces, eventIDs, priorities, available, timers)
	if err == nil {
		err = notify(ctx, tx)
	}
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// CancelTimers takes back the timers with these keys that have not left.
func CancelTimers(ctx context.Context, tx pgx.Tx, keys []string) error {
	if _, err := tx.Exec(ctx, "DELETE FROM cutover.outbox WHERE timer_key = ANY ($1) AND published_at IS NULL", keys); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}
