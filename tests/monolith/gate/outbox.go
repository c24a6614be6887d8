package gate

import (
	"context"
	"encoding/json"
	"fmt"

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
}

// NewOutboxRow wraps an event: its subject is its name, its key the subject's id.
func NewOutboxRow(event *Event, traceparent string) (OutboxRow, error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return OutboxRow{}, fmt.Errorf("event %s: %w", event.Name, err)
	}
	return OutboxRow{MessageID: event.ID, Subject: event.Name, Key: event.Subject.ID, Payload: payload,
		Traceparent: traceparent, EventID: event.ID}, nil
}

// WriteOutbox adds the rows, in order. Whoever writes about an aggregate has locked it before, in the same transaction.
func WriteOutbox(ctx context.Context, tx pgx.Tx, rows []OutboxRow) error {
	if len(rows) == 0 {
		return nil
	}
	messageIDs, subjects, keys := make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	payloads, traces, eventIDs := make([][]byte, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	for i, row := range rows {
		messageIDs[i], subjects[i], keys[i] = row.MessageID, row.Subject, row.Key
		payloads[i], traces[i], eventIDs[i] = row.Payload, row.Traceparent, row.EventID
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO cutover.outbox (message_id, subject, key, payload, headers, event_id)
		SELECT u.message_id, u.subject, u.key, u.payload,
		       CASE WHEN u.traceparent <> '' THEN jsonb_build_object('traceparent', u.traceparent) END,
		       nullif(u.event_id, '')
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[])
		     WITH ORDINALITY u (message_id, subject, key, payload, traceparent, event_id, ord)
		ORDER BY u.ord`,
		messageIDs, subjects, keys, payloads, traces, eventIDs)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}
