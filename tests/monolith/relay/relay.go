// Package relay publishes the outbox where `cutover relay` does not run. Only one of them may run.
package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/nats-io/nats.go"
)

const (
	rowsMax     = 500
	pollEvery   = 5 * time.Millisecond
	publishWait = 5 * time.Second
)

type waiting struct {
	id                      int64
	messageID, subject, key string
	payload, headers        []byte
	ack                     nats.PubAckFuture
}

// Run publishes waiting rows in the order of their ids until stop is closed and none waits any more.
func Run(database *pgxpool.Pool, broker *nats.Conn, stop <-chan struct{}) error {
	stream, err := broker.JetStream(nats.PublishAsyncMaxPending(rowsMax))
	if err != nil {
		return err
	}
	ctx := context.Background()
	for stopping := false; ; {
		select {
		case <-stop:
			stopping = true
		default:
		}
		published, err := publish(ctx, database, stream)
		switch {
		case err != nil:
			return fmt.Errorf("relay: %w", err)
		case published > 0:
		case stopping:
			return nil
		default:
			select {
			case <-stop:
			case <-time.After(pollEvery):
			}
		}
	}
}

func publish(ctx context.Context, database *pgxpool.Pool, stream nats.JetStreamContext) (int, error) {
	rows, err := fetch(ctx, database)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	for i := range rows {
		message := nats.NewMsg(rows[i].subject)
		message.Data = rows[i].payload
		if err := addHeaders(message, rows[i].headers); err != nil {
			return 0, err
		}
		message.Header.Set("Cutover-Key", rows[i].key)
		if rows[i].ack, err = stream.PublishMsgAsync(message, nats.MsgId(rows[i].messageID)); err != nil {
			return 0, err
		}
	}
	ids, streams, sequences := make([]int64, len(rows)), make([]string, len(rows)), make([]int64, len(rows))
	deadline := time.After(publishWait)
	for i, row := range rows {
		select {
		case ack := <-row.ack.Ok():
			ids[i], streams[i], sequences[i] = row.id, ack.Stream, int64(ack.Sequence)
		case err := <-row.ack.Err():
			return 0, fmt.Errorf("%s was not stored: %w", row.subject, err)
		case <-deadline:
			return 0, fmt.Errorf("%s was not acknowledged within %s", row.subject, publishWait)
		}
	}
	_, err = database.Exec(ctx, `
		UPDATE cutover.outbox o SET published_at = now(), stream = u.stream, sequence = u.sequence
		FROM unnest($1::bigint[], $2::text[], $3::bigint[]) u (id, stream, sequence) WHERE o.outbox_id = u.id`, ids, streams, sequences)
	return len(rows), err
}

func fetch(ctx context.Context, database *pgxpool.Pool) ([]waiting, error) {
	found, err := database.Query(ctx, `
		SELECT outbox_id, message_id, subject, key, payload, convert_to(headers::text, 'UTF8') FROM cutover.outbox
		WHERE published_at IS NULL AND available_at IS NULL ORDER BY priority, outbox_id LIMIT $1`, rowsMax)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []waiting
	for found.Next() {
		var row waiting
		if err := found.Scan(&row.id, &row.messageID, &row.subject, &row.key, &row.payload, &row.headers); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}

func addHeaders(message *nats.Msg, headers []byte) error {
	if headers == nil {
		return nil
	}
	var named map[string]string
	if err := json.Unmarshal(headers, &named); err != nil {
		return fmt.Errorf("headers of an outbox row: %w", err)
	}
	for name, value := range named {
		message.Header.Set(name, value)
	}
	return nil
}
