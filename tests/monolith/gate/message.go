package gate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Message is one delivery, with the place of the original: a replayed dead letter keeps the place where it failed.
type Message struct {
	Lane        string
	Stream      string
	Incarnation int // which life of the stream
	Sequence    int64
	ReplayPlan  int64 // 0: not a replay
	Subject     string
	Header      nats.Header
	Data        []byte
	PublishedAt time.Time
	Deliveries  uint64 // 1 for the first

	event     Event
	malformed error
}

// NewMessage reads what the gate needs from a delivery of a stream whose incarnation the caller looked up.
func NewMessage(delivery *nats.Msg, lane string, incarnation int) (*Message, error) {
	about, err := delivery.Metadata()
	if err != nil {
		return nil, err
	}
	m := &Message{Lane: lane, Stream: about.Stream, Incarnation: incarnation, Sequence: int64(about.Sequence.Stream),
		Subject: delivery.Subject, Header: delivery.Header, Data: delivery.Data, PublishedAt: about.Timestamp,
		Deliveries: about.NumDelivered}
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	if plan := m.Header.Get("Cutover-Plan"); plan != "" {
		if err := m.restoreOrigin(plan); err != nil {
			return nil, fmt.Errorf("replay at %s/%d: %w", about.Stream, about.Sequence.Stream, err)
		}
	}
	m.event, m.malformed = ParseEvent(m.Data)
	if key := m.Header.Get("Cutover-Key"); m.malformed == nil && (len(key) > textBytesMax || !isText(key)) {
		m.malformed = fmt.Errorf("header Cutover-Key is no text of at most %d bytes", textBytesMax)
	}
	if m.malformed == nil && !isSubjectOf(m.Subject, m.event.Name) {
		m.malformed = fmt.Errorf("event_name %q came on subject %q", m.event.Name, m.Subject)
	}
	return m, nil
}

func (m *Message) restoreOrigin(plan string) error {
	m.Stream, m.Subject = m.Header.Get("Cutover-Origin-Stream"), m.Header.Get("Cutover-Origin-Subject")
	if m.Stream == "" || m.Subject == "" {
		return fmt.Errorf("no header Cutover-Origin-Stream or Cutover-Origin-Subject")
	}
	incarnation := int64(0) // below 0: a life of the stream on another broker, whose letters were imported
	for _, number := range []struct {
		name, text string
		into       *int64
	}{
		{"Cutover-Plan", plan, &m.ReplayPlan},
		{"Cutover-Origin-Sequence", m.Header.Get("Cutover-Origin-Sequence"), &m.Sequence},
		{"Cutover-Origin-Incarnation", m.Header.Get("Cutover-Origin-Incarnation"), &incarnation},
	} {
		value, err := strconv.ParseInt(number.text, 10, 64)
		if err != nil || value == 0 || (value < 0 && number.into != &incarnation) {
			return fmt.Errorf("header %s is %q, expected a number of 1 or more", number.name, number.text)
		}
		*number.into = value
	}
	m.Incarnation = int(incarnation)
	if at, err := time.Parse(time.RFC3339Nano, m.Header.Get("Cutover-Origin-Time")); err == nil {
		m.PublishedAt = at
	}
	return nil
}

// Event is the envelope, or what could be read of a malformed one.
func (m *Message) Event() *Event { return &m.event }

// isSubjectOf: the event's name, or the name and one routing token.
func isSubjectOf(subject, name string) bool {
	if subject == name {
		return true
	}
	token := strings.TrimPrefix(subject, name+".")
	return token != subject && token != "" && !strings.ContainsAny(token, ". *>")
}

// Key decides who owns the event: header Cutover-Key, else the subject's id, else empty; empty, too, for a header that no
// table could hold.
func (m *Message) Key() string {
	if key := m.Header.Get("Cutover-Key"); key != "" {
		if len(key) > textBytesMax || !isText(key) {
			return ""
		}
		return key
	}
	return m.event.Subject.ID
}

// eventID tells this event from another at the same place. A replay carries that of its letter: one that could not be read
// stood in the headers of the original, or came with an edit.
func (m *Message) eventID() string {
	if id := m.Header.Get("Cutover-Origin-Event-Id"); m.ReplayPlan != 0 && id != "" {
		return id
	}
	if m.event.ID != "" {
		return m.event.ID
	}
	if id := m.Header.Get(nats.MsgIdHdr); isText(id) {
		return id
	}
	return ""
}
