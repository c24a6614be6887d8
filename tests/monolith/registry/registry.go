// Package registry is the monolith's own side of cases: it owns channels and cases, answers what is asked of a channel, and
// notes what was resolved, whoever decided it.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/nats-io/nats.go"
)

// Registry follows two durables of its own; one goroutine uses it.
type Registry struct {
	Database *pgxpool.Pool
	Broker   nats.JetStreamContext
}

const (
	stream    = "CORE"
	fetchMax  = 100
	fetchWait = 250 * time.Millisecond
	errorWait = 250 * time.Millisecond
)

var answers = []struct {
	durable, event string
	apply          func(context.Context, pgx.Tx, *gate.Event) error
}{
	{"monolith-registry-transitions", "channel.transition_requested", answerTransition},
	{"monolith-registry-resolutions", "security.case_resolved", noteResolution},
}

// Prepare makes the durables that are not there; call it before Run.
func (r *Registry) Prepare() error {
	for _, a := range answers {
		_, err := r.Broker.ConsumerInfo(stream, a.durable)
		if errors.Is(err, nats.ErrConsumerNotFound) {
			_, err = r.Broker.AddConsumer(stream, &nats.ConsumerConfig{Durable: a.durable, FilterSubject: a.event,
				AckPolicy: nats.AckExplicitPolicy, AckWait: 30 * time.Second, MaxAckPending: 1000, MaxDeliver: -1})
		}
		if err != nil {
			return fmt.Errorf("durable %s of stream %s: %w", a.durable, stream, err)
		}
	}
	return nil
}

// Run answers until the context ends, which is no error. What cannot be answered now is tried again.
func (r *Registry) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		for i := range answers {
			if err := r.follow(ctx, i); err != nil && ctx.Err() == nil {
				log.Printf("%s: %v; it is tried again", answers[i].durable, err)
				select {
				case <-ctx.Done():
				case <-time.After(errorWait):
				}
			}
		}
	}
	return nil
}

func (r *Registry) follow(ctx context.Context, which int) error {
	a := answers[which]
	subscription, err := r.Broker.PullSubscribe(a.event, a.durable, nats.Bind(stream, a.durable))
	if err != nil {
		return err
	}
	defer subscription.Unsubscribe()
	messages, err := subscription.Fetch(fetchMax, nats.MaxWait(fetchWait))
	if err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for _, message := range messages {
		event, err := gate.ParseEvent(message.Data)
		if err != nil {
			log.Printf("%s: %v; it is terminated", a.durable, err)
			_ = message.Term()
			continue
		}
		if err := r.once(ctx, &event, a.apply); err != nil {
			_ = message.NakWithDelay(errorWait)
			return err
		}
		_ = message.Ack()
	}
	return nil
}

// once applies an event unless it was applied before; a copy of the same work under another id is the same work.
func (r *Registry) once(ctx context.Context, event *gate.Event, apply func(context.Context, pgx.Tx, *gate.Event) error) error {
	return r.Database.BeginFunc(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO app.answered (work) VALUES ($1) ON CONFLICT DO NOTHING",
			event.TenantScope+"\x1f"+event.IdempotencyKey)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return apply(ctx, tx, event)
	})
}
