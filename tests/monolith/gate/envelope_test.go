package gate

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

func sample() Event {
	return Event{ID: "01a1f8d5-2edc-7ce8-9af0-5d666664b0a3", Name: "profile.updated", Version: 1,
		OccurredAt: "2026-11-20T12:00:00.000001Z",
		Producer:   "monolith", Actor: Actor{"17", "user"}, Subject: Subject{"profile", "4711", 3},
		IdempotencyKey: "profile.updated:4711:x",
		TenantScope:    "global", Payload: json.RawMessage(`{"profile_id":4711}`)}
}

func TestAnEventSurvivesItsEnvelope(t *testing.T) {
	written := sample()
	row, err := NewOutboxRow(&written, "00-a-b-01")
	if err != nil {
		t.Fatal(err)
	}
	if row.MessageID != written.ID || row.EventID != written.ID || row.Subject != "profile.updated" ||
		row.Key != "4711" {
		t.Errorf("%+v", row)
	}
	read, err := ParseEvent(row.Payload)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(read)
	if string(again) != string(row.Payload) {
		t.Errorf("%s became %s", row.Payload, again)
	}
}

func TestTheEnvelopeHasTheNamesOfTheSpecification(t *testing.T) {
	event := sample()
	text, _ := json.Marshal(event)
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"event_id", "event_name", "event_version", "occurred_at", "producer",
		"actor", "subject", "correlation_id",
		"causation_id", "idempotency_key", "tenant_scope", "payload"} {
		if _, there := fields[name]; !there {
			t.Errorf("no field %s in %s", name, text)
		}
	}
	if string(fields["actor"]) != `{"actor_id":"17","actor_type":"user"}` ||
		string(fields["subject"]) != `{"subject_type":"profile","subject_id":"4711","version":3}` {
		t.Errorf("%s %s", fields["actor"], fields["subject"])
	}
}

func TestMalformedEnvelopesAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Event){
		"event_id is missing":        func(e *Event) { e.ID = "" },
		"event_id is no UUID":        func(e *Event) { e.ID = "1" },
		"event_name is missing":      func(e *Event) { e.Name = "" },
		"event_name has no domain":   func(e *Event) { e.Name = "updated" },
		"event_version is 0":         func(e *Event) { e.Version = 0 },
		"occurred_at is no time":     func(e *Event) { e.OccurredAt = "yesterday" },
		"subject_id is missing":      func(e *Event) { e.Subject.ID = "" },
		"actor_type is unknown":      func(e *Event) { e.Actor.Type = "robot" },
		"idempotency_key is missing": func(e *Event) { e.IdempotencyKey = "" },
		"idempotency_key is long":    func(e *Event) { e.IdempotencyKey = strings.Repeat("x", 201) },
		"payload is a list":          func(e *Event) { e.Payload = json.RawMessage(`[1]`) },
		"payload is missing":         func(e *Event) { e.Payload = nil },
		"more than 256 KiB": func(e *Event) {
			e.Payload = json.RawMessage(`{"x":"` +
				strings.Repeat("x", EventBytesMax) + `"}`)
		},
	} {
		event := sample()
		spoil(&event)
		text, _ := json.Marshal(event)
		if _, err := ParseEvent(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, text := range map[string]string{"nothing": "", "no JSON": "{", "a list": "[]", "two": "{}{}"} {
		if _, err := ParseEvent([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTheTenantIsGlobalUnlessToldOtherwise(t *testing.T) {
	event := sample()
	text, _ := json.Marshal(event)
	text = []byte(strings.Replace(string(text), `"tenant_scope":"global",`, "", 1))
	read, err := ParseEvent(text)
	if err != nil || read.TenantScope != "global" {
		t.Errorf("%q, %v", read.TenantScope, err)
	}
}

func TestEventIDsAreUUIDsOfVersion7InOrderOfTime(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	seen, last := map[string]bool{}, ""
	for i := 0; i < 1000; i++ {
		id := NewEventID(at.Add(time.Duration(i) * time.Millisecond))
		if !form.MatchString(id) || seen[id] || id <= last {
			t.Fatalf("%s after %s", id, last)
		}
		seen[id], last = true, id
	}
}
