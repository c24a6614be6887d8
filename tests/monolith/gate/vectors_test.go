package gate

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestTheEmbeddedVectorsAreThoseOfTheWorkers(t *testing.T) {
	shared, err := os.ReadFile("../../vectors/ownership.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shared, vectors) {
		t.Error("vectors.json differs from tests/vectors/ownership.json: copy it")
	}
}

func TestEveryVectorIsReadAsTheWorkersReadIt(t *testing.T) {
	var all struct {
		Worker   string
		Events   []string
		Messages []struct {
			Name, Subject string
			Headers       map[string]string
			Body          string
			BodyBase64    []byte `json:"body_base64"`
			Key           string
			Addressed     bool
			EventID       string `json:"event_id"`
			Mark          *string
			Version       int64
		}
	}
	if err := json.Unmarshal(vectors, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Messages) < 40 {
		t.Fatalf("only %d messages", len(all.Messages))
	}
	g := &Gate{Worker: all.Worker, Events: map[string]bool{}}
	for _, name := range all.Events {
		g.Events[name] = true
	}
	for _, v := range all.Messages {
		header := nats.Header{}
		for name, value := range v.Headers {
			header.Set(name, value)
		}
		body := []byte(v.Body)
		if v.BodyBase64 != nil {
			body = v.BodyBase64
		}
		m := delivered(t, v.Subject, header, body)
		if m.Key() != v.Key || g.addressed(m) != v.Addressed || m.eventID() != v.EventID || g.version(m) != v.Version {
			t.Errorf("%s: key %q addressed %v event id %q version %d (%v)", v.Name, m.Key(), g.addressed(m), m.eventID(),
				g.version(m), m.malformed)
		}
		mark := g.idempotencyKey(m)
		if (mark == nil) != (v.Mark == nil) || (mark != nil && *mark != *v.Mark) {
			t.Errorf("%s: mark %v, want %v (%v)", v.Name, mark, v.Mark, m.malformed)
		}
	}
}
