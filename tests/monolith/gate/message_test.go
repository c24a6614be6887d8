package gate

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/nats-io/nats.go"
)

// delivered makes a delivery as the broker would: stream, consumer and sequences are in the reply subject.
func delivered(t *testing.T, subject string, header nats.Header, data []byte) *Message {
	t.Helper()
	raw := &nats.Msg{Subject: subject, Header: header, Data: data,
		Reply: "$JS.ACK.CORE.monolith-search-profile.1.4242.7.1763640000000000000.0",
		Sub:   &nats.Subscription{}}
	m, err := NewMessage(raw, "profile", 2)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAMessageIsAtTheSequenceOfItsStream(t *testing.T) {
	event := sample()
	data, _ := json.Marshal(event)
	m := delivered(t, "profile.updated", nil, data)
	if m.malformed != nil || m.Stream != "CORE" || m.Sequence != 4242 || m.Incarnation != 2 || m.ReplayPlan != 0 {
		t.Errorf("%+v", m)
	}
	if m.Key() != "4711" || m.eventID() != event.ID || m.PublishedAt.UnixNano() != 1763640000000000000 {
		t.Errorf("key %s, id %s, published at %s", m.Key(), m.eventID(), m.PublishedAt)
	}
}

func TestTheHeaderDecidesTheKey(t *testing.T) {
	data, _ := json.Marshal(sample())
	if m := delivered(t, "profile.updated", nats.Header{"Cutover-Key": {"other"}}, data); m.Key() != "other" {
		t.Errorf("key %s", m.Key())
	}
}

func TestAReplayKeepsThePlaceWhereItFailed(t *testing.T) {
	data, _ := json.Marshal(sample())
	m := delivered(t, "replay.search-projector.monolith.profile", nats.Header{"Cutover-Plan": {"9"},
		"Cutover-Origin-Stream":      {"CONTACT"},
		"Cutover-Origin-Incarnation": {"1"}, "Cutover-Origin-Sequence": {"17"},
		"Cutover-Origin-Subject": {"profile.updated"},
		"Cutover-Origin-Time":    {"2026-01-02T03:04:05.000006Z"}}, data)
	if m.Stream != "CONTACT" || m.Incarnation != 1 || m.Sequence != 17 || m.ReplayPlan != 9 ||
		m.Subject != "profile.updated" || m.malformed != nil {
		t.Errorf("%+v", m)
	}
	if !m.PublishedAt.Equal(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)) {
		t.Errorf("published at %s", m.PublishedAt)
	}
	raw := &nats.Msg{Subject: "replay.x", Header: nats.Header{"Cutover-Plan": {"9"}}, Data: data,
		Reply: "$JS.ACK.REPLAY.c.1.1.1.1.0",
		Sub:   &nats.Subscription{}}
	if _, err := NewMessage(raw, "replay", 1); err == nil {
		t.Error("a replay without its origin was accepted")
	}
}

func TestAnEventOnAnotherSubjectIsMalformed(t *testing.T) {
	data, _ := json.Marshal(sample())
	for subject, fine := range map[string]bool{"profile.updated": true, "profile.updated.p0": true,
		"profile.created": false, "profile.updatedx": false} {
		if m := delivered(t, subject, nil, data); (m.malformed == nil) != fine {
			t.Errorf("%s: %v", subject, m.malformed)
		}
	}
}

func TestAMalformedMessageIsKnownByItsMessageID(t *testing.T) {
	m := delivered(t, "profile.updated", nats.Header{"Nats-Msg-Id": {"m-1"}}, []byte("{"))
	if m.malformed == nil || m.eventID() != "m-1" || m.Key() != "" {
		t.Errorf("id %q, key %q", m.eventID(), m.Key())
	}
}

// asked is a transaction that notes one question and gives one answer.
type asked struct {
	pgx.Tx
	sql       string
	arguments []interface{}
	answer    string
}

func (a *asked) QueryRow(_ context.Context, sql string, arguments ...interface{}) pgx.Row {
	a.sql, a.arguments = sql, arguments
	return a
}

func (a *asked) Scan(into ...interface{}) error {
	*into[0].(*string) = a.answer
	return nil
}

func TestTheClaimHandsOverPlaceKeyAndMark(t *testing.T) {
	g := &Gate{Worker: "search-projector", Instance: "m1", Events: map[string]bool{"profile.updated": true}}
	event := sample()
	data, _ := json.Marshal(event)
	mark := "global\x1f" + event.IdempotencyKey
	for name, c := range map[string]struct {
		message *Message
		id, key string
		mark    *string
		version int64
	}{
		"an event": {delivered(t, "profile.updated", nil, data), event.ID, "4711", &mark, 3},
		"for another worker": {delivered(t, "profile.updated",
			nats.Header{"Cutover-For": {"score-orchestrator"}}, data), event.ID, "4711", nil, 0},
		"for this worker": {delivered(t, "profile.updated",
			nats.Header{"Cutover-For": {"search-projector"}}, data), event.ID, "4711", &mark, 3},
		"malformed, with header": {delivered(t, "profile.updated", nats.Header{"Cutover-Key": {"k"}},
			[]byte("{")), "", "k", nil, 0},
	} {
		tx := &asked{answer: "a"}
		answer, err := g.Claim(context.Background(), tx, c.message)
		want := []interface{}{"search-projector", "m1", "CORE", 2, []int64{4242}, []string{c.id},
			[]string{c.key}, []*string{c.mark}, []int64{c.version}, []int64{0}}
		if err != nil || answer != Apply || !reflect.DeepEqual(tx.arguments, want) {
			t.Errorf("%s: %v %v\n got %v\nwant %v", name, answer, err, tx.arguments, want)
		}
	}
}

func TestAnAnswerThatIsUnknownIsAnError(t *testing.T) {
	g := &Gate{Worker: "search-projector"}
	for _, answer := range []string{"", "?", "aa"} {
		if _, err := g.Claim(context.Background(), &asked{answer: answer}, delivered(t, "profile.updated", nil,
			[]byte("{"))); err == nil {
			t.Errorf("answer %q was accepted", answer)
		}
	}
}
