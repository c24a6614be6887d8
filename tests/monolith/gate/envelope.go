// Package gate is what the monolith needs to share work with the cutover workers: whose an event is, what was applied
// before, dead letters, the heartbeat and the outbox. Thin calls of SQL functions, so that each rule exists once.
package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"
)

// Actor is who caused an event.
type Actor struct {
	ID   string `json:"actor_id"`
	Type string `json:"actor_type"` // user | system | operator | business_admin
}

// Subject is the aggregate that an event is about.
type Subject struct {
	Type    string `json:"subject_type"`
	ID      string `json:"subject_id"`
	Version int64  `json:"version"` // grows with every change of that aggregate
}

// Event is the envelope of every message.
type Event struct {
	ID             string          `json:"event_id"`
	Name           string          `json:"event_name"`
	Version        int             `json:"event_version"`
	OccurredAt     string          `json:"occurred_at"` // RFC 3339, UTC
	Producer       string          `json:"producer"`
	Actor          Actor           `json:"actor"`
	Subject        Subject         `json:"subject"`
	CorrelationID  string          `json:"correlation_id"`
	CausationID    string          `json:"causation_id"`
	IdempotencyKey string          `json:"idempotency_key"`
	TenantScope    string          `json:"tenant_scope"`
	Payload        json.RawMessage `json:"payload"`
}

// EventBytesMax is the size above which a message is malformed.
const EventBytesMax = 256 << 10

// OccurredAt writes a time as the envelope has it.
func OccurredAt(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }

// ParseEvent reads an envelope. With an error it returns what could be read, for the dead letter: each field that is valid
// and appears once, and nothing of a body that is no JSON object, too large or too deep. The workers read it alike.
func ParseEvent(message []byte) (Event, error) {
	var event Event
	if len(message) > EventBytesMax {
		return event, fmt.Errorf("%d bytes, at most %d are allowed", len(message), EventBytesMax)
	}
	if err := checkBytes(message); err != nil {
		return event, fmt.Errorf("no envelope: %w", err)
	}
	all, err := readMembers(message)
	if err != nil {
		return event, fmt.Errorf("no envelope: %w", err)
	}
	var fault error // the first
	note := func(err error) {
		if fault == nil && err != nil {
			fault = err
		}
	}
	text := func(m members, name string, mayBeEmpty bool, into *string) {
		value, err := m.text(name, mayBeEmpty)
		note(err)
		*into = value
	}
	inner := func(name string) members {
		m, err := readMembers(all.values[name])
		if err != nil || all.repeated[name] {
			note(fmt.Errorf("%s is no object, given once", name))
			return members{}
		}
		return m
	}
	text(all, "event_id", false, &event.ID)
	text(all, "event_name", false, &event.Name)
	version, err := all.integer("event_version", 1, math.MaxInt32)
	event.Version = int(version)
	note(err)
	text(all, "occurred_at", false, &event.OccurredAt)
	text(all, "producer", false, &event.Producer)
	actor, subject := inner("actor"), inner("subject")
	text(actor, "actor_id", false, &event.Actor.ID)
	text(actor, "actor_type", false, &event.Actor.Type)
	text(subject, "subject_type", false, &event.Subject.Type)
	text(subject, "subject_id", false, &event.Subject.ID)
	event.Subject.Version, err = subject.integer("version", 0, math.MaxInt64)
	note(err)
	text(all, "correlation_id", true, &event.CorrelationID)
	text(all, "causation_id", true, &event.CausationID)
	text(all, "idempotency_key", false, &event.IdempotencyKey)
	event.TenantScope = "global"
	if _, there := all.values["tenant_scope"]; there {
		text(all, "tenant_scope", false, &event.TenantScope)
	}
	if event.Payload = all.values["payload"]; len(event.Payload) == 0 || event.Payload[0] != '{' || all.repeated["payload"] {
		note(errors.New("payload is no object, given once"))
	}
	note(event.check())
	return event, fault
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	nameForm = regexp.MustCompile(`^[a-z0-9_]+\.[a-z0-9_]+$`)
)

// check empties the id and the name when they break their form.
func (e *Event) check() error {
	var err error
	if !uuidForm.MatchString(e.ID) {
		e.ID, err = "", errors.New("event_id is no UUID")
	}
	if !nameForm.MatchString(e.Name) {
		e.Name, err = "", errors.New("event_name is not domain.entity_verb")
	}
	switch e.Actor.Type {
	case "user", "system", "operator", "business_admin":
	default:
		err = errors.New("actor_type is not user, system, operator or business_admin")
	}
	at, wrong := time.Parse(time.RFC3339, e.OccurredAt)
	if _, offset := at.Zone(); wrong != nil || offset != 0 {
		err = fmt.Errorf("occurred_at %q is no RFC 3339 time in UTC", e.OccurredAt)
	}
	return err
}
