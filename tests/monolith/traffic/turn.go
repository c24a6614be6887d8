package traffic

import (
	"strconv"
	"time"

	"cutover/monolith/gate"
)

// turn is what one transaction has written so far.
type turn struct {
	now        time.Time
	outbox     []gate.OutboxRow
	priority   int // of what is emitted; 0: the usual one
	events     int
	duplicates int
	malformed  int
	poisoned   int
	touched    map[int64]bool // principals whose scores may change; nil: nobody asks
	imported   int64
	tally      map[string]int
	written    []gate.Event
	committed  []func() // once it has
}

// request is what a user asked for: everything that comes from it shares its correlation id.
type request struct{ id, trace string }

func newRequest(now time.Time) request { return request{gate.NewEventID(now), gate.NewTraceparent()} }

func (d *turn) emit(name, subject, actorType string, r row, payload interface{}, from request) error {
	d.touch(subject, r)
	actor := r.first
	if actor == 0 {
		actor = r.id
	}
	event := gate.Event{
		ID: gate.NewEventID(d.now), Name: name, Version: 1, OccurredAt: gate.OccurredAt(time.Now()),
		Producer:      "monolith",
		Actor:         gate.Actor{ID: strconv.FormatInt(actor, 10), Type: actorType},
		Subject:       gate.Subject{Type: subject, ID: strconv.FormatInt(r.id, 10), Version: r.version},
		CorrelationID: from.id, CausationID: from.id,
		IdempotencyKey: name + ":" + strconv.FormatInt(r.id, 10) + ":" + from.id,
		TenantScope:    "global", Payload: mustJSON(payload),
	}
	if actorType == "system" || actorType == "operator" {
		event.Actor.ID = actorType
	}
	return d.add(event, from)
}

func (d *turn) add(event gate.Event, from request) error {
	line, err := gate.NewOutboxRow(&event, from.trace)
	if err != nil {
		return err
	}
	line.Priority = d.priority
	d.outbox = append(d.outbox, line)
	d.written = append(d.written, event)
	d.events++
	d.tally[event.Name]++
	return nil
}
