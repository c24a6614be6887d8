package search

import (
	"context"
	"encoding/json"
	"time"

	"cutover/monolith/gate"
)

// lock keeps everybody else who writes these documents out, to the end of the transaction.
func (p projection) lock(ctx context.Context, names []string) error {
	_, err := p.tx.Exec(ctx, `
		SELECT pg_advisory_xact_lock(stripe) FROM (
		  SELECT DISTINCT hashtext(name) & 1023 AS stripe FROM unnest($1::text[]) name ORDER BY stripe) s`, names)
	return err
}

// announce writes an event about each document that changed.
func (p projection) announce(ctx context.Context, upserted, deleted []string) error {
	rows := make([]gate.OutboxRow, 0, len(upserted)+len(deleted))
	for _, list := range []struct {
		event string
		names []string
	}{{"search.document_upserted", upserted}, {"search.document_deleted", deleted}} {
		for _, name := range list.names {
			row, err := p.announcement(list.event, name)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
	}
	return gate.WriteOutbox(ctx, p.tx, rows)
}

func (p projection) announcement(name, document string) (gate.OutboxRow, error) {
	now := time.Now()
	cause := p.m.Event()
	payload, err := json.Marshal(map[string]string{"doc_id": document})
	if err != nil {
		return gate.OutboxRow{}, err
	}
	return gate.NewOutboxRow(&gate.Event{
		ID: gate.NewEventID(now), Name: name, Version: 1, OccurredAt: gate.OccurredAt(now), Producer: "monolith",
		Actor: cause.Actor, Subject: gate.Subject{Type: "search_document", ID: document, Version: p.m.Sequence},
		CorrelationID: cause.CorrelationID, CausationID: cause.ID, IdempotencyKey: name + ":" + document + ":" + cause.ID,
		TenantScope: cause.TenantScope, Payload: payload,
	}, p.m.Header.Get("traceparent"))
}
