package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"

	"cutover/monolith/dispute"
	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

type transition struct {
	ChannelID       int64  `json:"channel_id"`
	From            string `json:"from"`
	To              string `json:"to"`
	ExpectedVersion int64  `json:"expected_version"`
	CaseID          int64  `json:"case_id"`
	Reason          string `json:"reason,omitempty"`
}

// said is the event that tells of a channel's new state.
var said = map[string]string{"verified_active": "claim_verified", "challenged": "ownership_challenged", "limited": "ownership_limited",
	"disputed": "dispute_opened", "transferred": "ownership_transferred", "recovered": "ownership_recovered", "revoked": "ownership_revoked"}

// answerTransition changes the channel when it is as the request expects it and the change is allowed; else it says no.
func answerTransition(ctx context.Context, tx pgx.Tx, event *gate.Event) error {
	var t transition
	if err := json.Unmarshal(event.Payload, &t); err != nil {
		log.Printf("%s %s: %v; it is passed over", event.Name, event.ID, err)
		return nil
	}
	var state string
	var version, principal int64
	err := tx.QueryRow(ctx, "SELECT state, version, principal_id FROM app.channels WHERE channel_id = $1 FOR UPDATE", t.ChannelID).
		Scan(&state, &version, &principal)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		t.Reason = "CHANNEL_UNKNOWN"
	case err != nil:
		return err
	case version != t.ExpectedVersion || state != t.From:
		t.Reason = "CHANNEL_VERSION_CONFLICT"
	case !dispute.Allowed(t.From, t.To):
		t.Reason = "OWNERSHIP_INVALID_TRANSITION"
	}
	if t.Reason != "" {
		return say(ctx, tx, event, "channel.transition_rejected", t.ChannelID, version, t)
	}
	// The one to whom a channel is transferred is who opened the case.
	if err := tx.QueryRow(ctx, `
		UPDATE app.channels c
		SET state = $2, version = version + 1,
		    verified_at = CASE WHEN $2 IN ('transferred', 'verified_active') THEN now() ELSE verified_at END,
		    principal_id = CASE WHEN $2 = 'transferred'
		                        THEN coalesce((SELECT principal_id FROM app.cases WHERE case_id = $3), principal_id)
		                        ELSE principal_id END
		WHERE channel_id = $1 RETURNING version, principal_id`, t.ChannelID, t.To, t.CaseID).Scan(&version, &principal); err != nil {
		return err
	}
	verb := said[t.To]
	if verb == "" {
		return nil
	}
	return say(ctx, tx, event, "channel."+verb, t.ChannelID, version, struct {
		ChannelID   int64 `json:"channel_id"`
		PrincipalID int64 `json:"principal_id"`
		CaseID      int64 `json:"case_id"`
	}{t.ChannelID, principal, t.CaseID})
}

// noteResolution closes the monolith's own row of a case. Its version counts the case's events, and stays.
func noteResolution(ctx context.Context, tx pgx.Tx, event *gate.Event) error {
	var resolved struct {
		CaseID int64 `json:"case_id"`
	}
	if err := json.Unmarshal(event.Payload, &resolved); err != nil {
		log.Printf("%s %s: %v; it is passed over", event.Name, event.ID, err)
		return nil
	}
	_, err := tx.Exec(ctx, "UPDATE app.cases SET state = 'resolved', resolved_at = now() WHERE case_id = $1 AND state <> 'resolved'",
		resolved.CaseID)
	return err
}

func say(ctx context.Context, tx pgx.Tx, cause *gate.Event, name string, channel, version int64, payload interface{}) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	now := time.Now()
	row, err := gate.NewOutboxRow(&gate.Event{
		ID: gate.NewEventID(now), Name: name, Version: 1, OccurredAt: gate.OccurredAt(now), Producer: "monolith",
		Actor:         gate.Actor{ID: "system", Type: "system"},
		Subject:       gate.Subject{Type: "channel", ID: strconv.FormatInt(channel, 10), Version: version},
		CorrelationID: cause.CorrelationID, CausationID: cause.ID, IdempotencyKey: fmt.Sprintf("%s:%s", name, cause.IdempotencyKey),
		TenantScope: cause.TenantScope, Payload: text,
	}, "")
	if err != nil {
		return err
	}
	return gate.WriteOutbox(ctx, tx, []gate.OutboxRow{row})
}
