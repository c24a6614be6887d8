package traffic

import (
	"bytes"
	"context"
	"encoding/json"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

const lateMax = 1000

// addFaults adds what a careless producer writes besides: the same work once more under another event id, with this
// transaction or a later one, and messages that are no events.
func (t *Traffic) addFaults(done *turn) {
	if len(done.written) == 0 {
		return
	}
	late := t.late
	for at := range done.written {
		event := done.written[at]
		if t.random.Chance(t.settings.Malformed) {
			done.outbox = append(done.outbox, broken(event, done, done.malformed+t.Tally.Malformed))
			done.malformed++
		}
		if t.random.Chance(t.settings.Duplicates) {
			event.ID = gate.NewEventID(done.now)
			if again, err := gate.NewOutboxRow(&event, ""); err == nil {
				late = append(late, again)
			}
		}
	}
	// The oldest leave now, the newest wait for the next transaction.
	leave := len(late) / 2
	if len(late)-leave > lateMax {
		leave = len(late) - lateMax
	}
	done.outbox = append(done.outbox, late[:leave]...)
	done.duplicates = leave
	rest := append([]gate.OutboxRow(nil), late[leave:]...)
	done.committed = append(done.committed, func() { t.late = rest })
}

// lateDuplicates writes all that still wait.
type lateDuplicates struct{ traffic *Traffic }

func (l lateDuplicates) apply(_ context.Context, _ pgx.Tx, done *turn) error {
	done.outbox = append(done.outbox, l.traffic.late...)
	done.duplicates = len(l.traffic.late)
	done.committed = append(done.committed, func() { l.traffic.late = nil })
	return nil
}

// broken makes a message that must not get past a parser, one sort after the other.
func broken(event gate.Event, done *turn, number int) gate.OutboxRow {
	event.ID = gate.NewEventID(done.now)
	event.IdempotencyKey = "broken:" + event.ID
	row := gate.OutboxRow{MessageID: event.ID, Subject: event.Name, Key: event.Subject.ID, EventID: event.ID}
	sorts := []func(){
		func() { event.IdempotencyKey = "" },
		func() { event.Version = 0 },
		func() { event.Payload = json.RawMessage(`"text"`) },
		func() { event.OccurredAt = "yesterday" },
		func() { event.Subject.ID = "" },
		func() {
			event.Payload = mustJSON(map[string]string{"filler": string(bytes.Repeat([]byte("x"),
				gate.EventBytesMax))})
		},
		func() {}, // cut off, below
	}
	sort := number % len(sorts)
	sorts[sort]()
	row.Payload, _ = json.Marshal(event)
	if sort == len(sorts)-1 {
		row.Payload = row.Payload[:len(row.Payload)/2]
	}
	return row
}
