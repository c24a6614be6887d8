// Package gate is what the monolith needs to share work with the cutover workers: whose an event is, what was applied
// before, dead letters, the heartbeat and the outbox. Thin calls of SQL functions, so that each rule exists once.
package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
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

// ParseEvent reads an envelope. With an error it returns what could be read, for the dead letter.
func ParseEvent(message []byte) (Event, error) {
	var event Event
	if len(message) > EventBytesMax {
		return event, fmt.Errorf("%d bytes, at most %d are allowed", len(message), EventBytesMax)
	}
	if err := json.Unmarshal(message, &event); err != nil {
		return event, fmt.Errorf("no envelope: %w", err)
	}
	if event.TenantScope == "" {
		event.TenantScope = "global"
	}
	return event, event.check()
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	nameForm = regexp.MustCompile(`^[a-z0-9_]+\.[a-z0-9_]+$`)
)

func (e *Event) check() error {
	missing := make([]string, 0)
	for _, field := range []struct {
		name  string
		value string
	}{
		{"event_id", e.ID}, {"event_name", e.Name}, {"occurred_at", e.OccurredAt}, {"producer", e.Producer},
		{"actor.actor_type", e.Actor.Type}, {"subject.subject_type", e.Subject.Type}, {"subject.subject_id",
			e.Subject.ID},
		{"actor.actor_id", e.Actor.ID}, {"idempotency_key", e.IdempotencyKey},
	} {
		if field.value == "" {
			missing = append(missing, field.name)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("missing or empty: %s", strings.Join(missing, ", "))
	case !uuidForm.MatchString(e.ID):
		return errors.New("event_id is no UUID")
	case !nameForm.MatchString(e.Name):
		return errors.New("event_name is not domain.entity_verb")
	case e.Actor.Type != "user" && e.Actor.Type != "system" && e.Actor.Type != "operator" &&
		e.Actor.Type != "business_admin":
		return errors.New("actor_type is not user, system, operator or business_admin")
	case e.Version < 1:
		return fmt.Errorf("event_version %d is below 1", e.Version)
	case len(e.IdempotencyKey) > 200:
		return fmt.Errorf("idempotency_key has %d bytes, at most 200 are allowed", len(e.IdempotencyKey))
	case len(e.Payload) == 0 || e.Payload[0] != '{':
		return errors.New("payload is no object")
	}
	if _, err := time.Parse(time.RFC3339, e.OccurredAt); err != nil {
		return fmt.Errorf("occurred_at %q is no RFC 3339 time", e.OccurredAt)
	}
	return nil
}
