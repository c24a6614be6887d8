package dispute

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

// hand works on one event: what it says goes out with the transaction, in order.
type hand struct {
	ctx    context.Context
	tx     pgx.Tx
	m      *gate.Message
	now    time.Time
	outbox []gate.OutboxRow
	cancel []string // timers
}

// says is an outgoing event about a case, with version 0: it has no place in the order of the case's own events.
type says struct {
	name    string
	token   string // routing token of the subject, empty for none
	subject string // type of the aggregate, empty: case
	id      int64  // of the aggregate, 0: the case
	key     string // idempotency key
	lane    int    // for its priority
	payload interface{}
	timer   string    // key of a timer
	due     time.Time // of the timer
}

func (h *hand) say(caseID int64, s says) error {
	if s.subject == "" {
		s.subject, s.id = "case", caseID
	}
	text, err := json.Marshal(s.payload)
	if err != nil {
		return err
	}
	cause := h.m.Event()
	row, err := gate.NewOutboxRow(&gate.Event{
		ID: gate.NewEventID(h.now), Name: s.name, Version: 1, OccurredAt: gate.OccurredAt(h.now), Producer: "monolith",
		Actor:         gate.Actor{ID: "system", Type: "system"},
		Subject:       gate.Subject{Type: s.subject, ID: strconv.FormatInt(s.id, 10)},
		CorrelationID: cause.CorrelationID, CausationID: cause.ID, IdempotencyKey: s.key, TenantScope: cause.TenantScope,
		Payload: text,
	}, h.m.Header.Get("traceparent"))
	if err != nil {
		return err
	}
	if s.token != "" {
		row.Subject += "." + s.token
	}
	row.Priority, row.TimerKey, row.AvailableAt = s.lane+1, s.timer, s.due
	h.outbox = append(h.outbox, row)
	return nil
}

func (h *hand) flush() error {
	if len(h.cancel) > 0 {
		if err := gate.CancelTimers(h.ctx, h.tx, h.cancel); err != nil {
			return err
		}
	}
	return gate.WriteOutbox(h.ctx, h.tx, h.outbox)
}

func token(lane int) string { return "p" + strconv.Itoa(lane) }

type routedPayload struct {
	CaseID  int64 `json:"case_id"`
	Version int64 `json:"version"`
	Lane    int   `json:"lane"`
}

func (h *hand) route(r *record) error {
	return h.say(r.id, says{name: "dispute.queue_routed", token: token(r.lane), lane: r.lane,
		key:     fmt.Sprintf("routed:%d:%d:%s", r.id, r.version, token(r.lane)),
		payload: routedPayload{r.id, r.version, r.lane}})
}

type timerPayload struct {
	CaseID int64  `json:"case_id"`
	Timer  string `json:"timer"`
	Due    string `json:"due"`
}

func timerKey(caseID int64, timer string) string { return fmt.Sprintf("dispute:%d:%s", caseID, timer) }

// arm sets a timer of the case, or moves the one that it has.
func (h *hand) arm(r *record, timer string, due time.Time) error {
	h.unsay(timerKey(r.id, timer))
	at := gate.OccurredAt(due)
	return h.say(r.id, says{name: "dispute.timer_fired", token: token(r.lane), lane: r.lane,
		key:     fmt.Sprintf("timer:%d:%s:%s", r.id, timer, at),
		payload: timerPayload{r.id, timer, at}, timer: timerKey(r.id, timer), due: due})
}

// disarm takes timers back, those of this transaction too.
func (h *hand) disarm(r *record, timers ...string) {
	for _, timer := range timers {
		key := timerKey(r.id, timer)
		h.unsay(key)
		h.cancel = append(h.cancel, key)
	}
}

func (h *hand) unsay(timer string) {
	kept := h.outbox[:0]
	for _, row := range h.outbox {
		if row.TimerKey != timer {
			kept = append(kept, row)
		}
	}
	h.outbox = kept
}
