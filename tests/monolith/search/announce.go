package search

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cutover/monolith/gate"
)

// lock keeps the worker and everybody else who writes these documents out, to the end of the transaction.
func (p projection) lock(ctx context.Context, names []string) error {
	_, err := p.tx.Exec(ctx, "SELECT serving.lock_search_documents('serving.search_documents', $1)", names)
	return err
}

// announce writes an event about each document that changed.
func (p projection) announce(ctx context.Context, event string, changed []change) error {
	rows := make([]gate.OutboxRow, 0, len(changed))
	for _, c := range changed {
		row, err := p.announcement(event, c)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return gate.WriteOutbox(ctx, p.tx, rows)
}

type announcementPayload struct {
	DocID     string `json:"doc_id"`
	Kind      string `json:"kind"`
	ContactID int64  `json:"contact_id,omitempty"`
	ProfileID int64  `json:"profile_id,omitempty"`
	OwnerID   *int64 `json:"owner_id,omitempty"`
}

func (p projection) announcement(name string, c change) (gate.OutboxRow, error) {
	payload := announcementPayload{DocID: c.docID, Kind: c.kind, OwnerID: c.ownerID}
	source, number, _ := strings.Cut(c.docID, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return gate.OutboxRow{}, fmt.Errorf("document %s: %w", c.docID, err)
	}
	if source == "contact" {
		payload.ContactID = id
	} else {
		payload.ProfileID = id
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return gate.OutboxRow{}, err
	}
	now := time.Now()
	cause := p.m.Event()
	return gate.NewOutboxRow(&gate.Event{
		ID: gate.NewEventID(now), Name: name, Version: 1, OccurredAt: gate.OccurredAt(now), Producer: "monolith",
		Actor: cause.Actor, Subject: gate.Subject{Type: "search_document", ID: c.docID, Version: c.version},
		CorrelationID: cause.CorrelationID, CausationID: cause.ID,
		IdempotencyKey: fmt.Sprintf("%s:%s/%d/%d", c.docID, p.m.Stream, p.m.Incarnation, p.m.Sequence),
		TenantScope:    cause.TenantScope, Payload: text,
	}, p.m.Header.Get("traceparent"))
}
