package dispute

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

// Events are the names of the events that cases go by.
var Events = map[string]bool{"security.case_opened": true, "security.case_evidence_added": true, "security.case_reopened": true,
	"dispute.queue_routed": true, "dispute.timer_fired": true}

const dayBefore = 24 * time.Hour

// Apply takes an event of a case in, or works on a case in its lane.
func Apply(ctx context.Context, tx pgx.Tx, m *gate.Message) error {
	h := &hand{ctx: ctx, tx: tx, m: m, now: time.Now().UTC().Truncate(time.Microsecond)}
	steps := map[string]func() error{
		"security.case_opened":         h.open,
		"security.case_evidence_added": h.addEvidence,
		"security.case_reopened":       h.reopen,
		"dispute.queue_routed":         h.routed,
		"dispute.timer_fired":          h.timerFired,
	}
	if err := steps[m.Event().Name](); err != nil {
		return err
	}
	return h.flush()
}

func (h *hand) reject(format string, arguments ...interface{}) error {
	return gate.Rejection{Reason: "payload of " + h.m.Event().Name + ": " + fmt.Sprintf(format, arguments...)}
}

type openedPayload struct {
	CaseID           *int64          `json:"case_id"`
	CaseType         string          `json:"case_type"`
	Severity         string          `json:"severity"`
	PrincipalID      *int64          `json:"principal_id"`
	CounterpartyID   *int64          `json:"counterparty_id"`
	ChannelID        *int64          `json:"channel_id"`
	OpenedAt         *time.Time      `json:"opened_at"`
	VerifiedBusiness *bool           `json:"verified_business"`
	Evidence         json.RawMessage `json:"evidence"`
}

func (h *hand) open() error {
	var p openedPayload
	if err := json.Unmarshal(h.m.Event().Payload, &p); err != nil {
		return h.reject("%v", err)
	}
	switch {
	case p.CaseID == nil || *p.CaseID < 1:
		return h.reject("case_id is missing or below 1")
	case strconv.FormatInt(*p.CaseID, 10) != h.m.Event().Subject.ID:
		return h.reject("case_id %d is not the subject %s", *p.CaseID, h.m.Event().Subject.ID)
	case fieldsOf[p.CaseType] == nil:
		return h.reject("case_type %q is not C1 to C6", p.CaseType)
	case p.Severity != "L1" && p.Severity != "L2" && p.Severity != "L3":
		return h.reject("severity %q is not L1, L2 or L3", p.Severity)
	case p.PrincipalID == nil:
		return h.reject("principal_id is missing")
	case p.OpenedAt == nil:
		return h.reject("opened_at is missing")
	case p.VerifiedBusiness == nil:
		return h.reject("verified_business is missing")
	}
	var known Evidence
	taken, err := known.Take(p.CaseType, p.Evidence, true)
	if err != nil {
		return h.reject("%v", err)
	}
	text, err := json.Marshal(taken)
	if err != nil {
		return err
	}
	if err := h.lock([]int64{*p.PrincipalID}, nil); err != nil {
		return err
	}
	if there, err := h.load(*p.CaseID); err != nil || there != nil {
		if err == nil {
			err = gate.Rejection{Reason: fmt.Sprintf("case %d is open already", *p.CaseID)}
		}
		return err
	}
	at := p.OpenedAt.UTC().Truncate(time.Microsecond)
	lane := RoutedLane(p.CaseType, p.Severity, known)
	r := &record{id: *p.CaseID, caseType: p.CaseType, severity: p.Severity, principal: *p.PrincipalID, counterparty: p.CounterpartyID,
		channel: p.ChannelID, openedAt: at, verifiedBusiness: *p.VerifiedBusiness, state: "routed",
		version: h.m.Event().Subject.Version, routedLane: lane, baseLane: lane, stream: h.m.Stream, sequence: h.m.Sequence}
	if r.verifiedBusiness {
		r.reasons = append(r.reasons, "verified_business")
	}
	earlier, err := h.hasEarlierCase(r)
	if err != nil {
		return err
	}
	if earlier {
		r.reasons = append(r.reasons, "earlier_case")
	}
	sort.Strings(r.reasons)
	r.lane = EffectiveLane(lane, r.reasons)
	r.firstResponseDue = at.Add(ResponseLimit(r.lane))
	if err := h.save(r); err != nil {
		return err
	}
	if err := h.addMoment(r.id, moment{r.version, opened, true, at, text}); err != nil {
		return err
	}
	if err := h.audit(r.id, "routed", nil, routedPayload{r.id, r.version, r.lane}); err != nil {
		return err
	}
	if err := h.route(r); err != nil {
		return err
	}
	if err := h.arm(r, "first_response", r.firstResponseDue); err != nil {
		return err
	}
	return h.escalateLater(r)
}

func (h *hand) hasEarlierCase(r *record) (bool, error) {
	var earlier bool
	err := h.tx.QueryRow(h.ctx, `
		SELECT EXISTS (
		  SELECT FROM serving.dispute_queue q
		  WHERE q.principal_id = $1 AND q.appeal_of IS NULL AND (q.opened_at, q.case_id) < ($2, $3) AND q.opened_at > $4)`,
		r.principal, r.openedAt, r.id, r.openedAt.Add(-dayBefore)).Scan(&earlier)
	return earlier, err
}

// escalateLater: this case came in after one that was opened later.
func (h *hand) escalateLater(r *record) error {
	rows, err := h.tx.Query(h.ctx, `
		SELECT q.case_id FROM serving.dispute_queue q
		WHERE q.principal_id = $1 AND q.appeal_of IS NULL AND (q.opened_at, q.case_id) > ($2, $3) AND q.opened_at < $4
		  AND q.state <> 'resolved' AND NOT 'earlier_case' = ANY (q.reasons)
		ORDER BY q.case_id`, r.principal, r.openedAt, r.id, r.openedAt.Add(dayBefore))
	if err != nil {
		return err
	}
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			rows.Close()
			return err
		}
		ids = append(ids, id)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	for _, id := range ids {
		later, err := h.load(id)
		if err != nil {
			return err
		}
		if later == nil || later.state == "resolved" {
			continue
		}
		if err := h.escalate(later, "earlier_case", later.openedAt); err != nil {
			return err
		}
		if err := h.save(later); err != nil {
			return err
		}
	}
	return nil
}

// known reads the case that an event is about.
func (h *hand) known(caseID *int64) (*record, error) {
	switch {
	case caseID == nil:
		return nil, h.reject("case_id is missing")
	case strconv.FormatInt(*caseID, 10) != h.m.Event().Subject.ID:
		return nil, h.reject("case_id %d is not the subject %s", *caseID, h.m.Event().Subject.ID)
	}
	r, err := h.load(*caseID)
	if err == nil && r == nil {
		err = gate.Rejection{Reason: fmt.Sprintf("case %d was never opened", *caseID)}
	}
	return r, err
}

func (h *hand) occurredAt() (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, h.m.Event().OccurredAt)
	return at.UTC().Truncate(time.Microsecond), err
}

func (h *hand) addEvidence() error {
	var p struct {
		CaseID   *int64          `json:"case_id"`
		Material *bool           `json:"material"`
		Evidence json.RawMessage `json:"evidence"`
	}
	if err := json.Unmarshal(h.m.Event().Payload, &p); err != nil {
		return h.reject("%v", err)
	}
	if p.Material == nil {
		return h.reject("material is missing")
	}
	r, err := h.known(p.CaseID)
	if err != nil {
		return err
	}
	var check Evidence
	taken, err := check.Take(r.caseType, p.Evidence, false)
	if err != nil {
		return h.reject("%v", err)
	}
	text, err := json.Marshal(taken)
	if err != nil {
		return err
	}
	at, err := h.occurredAt()
	if err != nil {
		return err
	}
	if err := h.next(r, moment{h.m.Event().Subject.Version, evidence, *p.Material, at, text}); err != nil {
		return err
	}
	if !*p.Material {
		return h.save(r) // it counts when something else asks for an evaluation
	}
	if r.state != "resolved" {
		if err := h.addReason(r, "evidence", at); err != nil {
			return err
		}
	}
	if err := h.route(r); err != nil {
		return err
	}
	return h.save(r)
}

func (h *hand) reopen() error {
	var p struct {
		CaseID *int64  `json:"case_id"`
		Reason *string `json:"reason"`
	}
	if err := json.Unmarshal(h.m.Event().Payload, &p); err != nil {
		return h.reject("%v", err)
	}
	if p.Reason == nil {
		return h.reject("reason is missing")
	}
	r, err := h.known(p.CaseID)
	if err != nil {
		return err
	}
	at, err := h.occurredAt()
	if err != nil {
		return err
	}
	if err := h.next(r, moment{h.m.Event().Subject.Version, reopened, false, at, json.RawMessage("{}")}); err != nil {
		return err
	}
	if err := h.route(r); err != nil {
		return err
	}
	return h.save(r)
}

// next takes an event of the case in; the lanes work on it.
func (h *hand) next(r *record, m moment) error {
	r.version, r.stream, r.sequence = m.version, h.m.Stream, h.m.Sequence
	return h.addMoment(r.id, m)
}

// addReason adds a reason once and raises the lane. The caller asks for what is to be evaluated.
func (h *hand) addReason(r *record, reason string, at time.Time) error {
	for _, known := range r.reasons {
		if known == reason {
			return nil
		}
	}
	r.reasons = append(r.reasons, reason)
	sort.Strings(r.reasons)
	return h.enter(r, EffectiveLane(r.baseLane, r.reasons), at)
}

// escalate is addReason for a case that may wait in its old lane, where it does nothing any more.
func (h *hand) escalate(r *record, reason string, at time.Time) error {
	before := r.lane
	if err := h.addReason(r, reason, at); err != nil {
		return err
	}
	if r.lane != before && r.version > r.decidedVersion {
		return h.route(r)
	}
	return nil
}

// enter changes the lane of a case.
func (h *hand) enter(r *record, lane int, at time.Time) error {
	before := r.lane
	r.lane = lane
	if lane >= before {
		return nil
	}
	if err := h.audit(r.id, "escalated", nil, map[string]interface{}{"from": before, "to": lane, "reasons": r.reasons}); err != nil {
		return err
	}
	if due := at.Add(ResponseLimit(lane)); due.Before(r.firstResponseDue) && r.firstResponseAt == nil {
		r.firstResponseDue = due
		if err := h.arm(r, "first_response", due); err != nil {
			return err
		}
	}
	return h.say(r.id, says{name: "dispute.queue_escalated", lane: lane,
		key: fmt.Sprintf("escalated:%d:%d:%d:%d", r.id, r.version, r.evaluations, lane),
		payload: struct {
			CaseID  int64    `json:"case_id"`
			From    int      `json:"from"`
			To      int      `json:"to"`
			Reasons []string `json:"reasons"`
		}{r.id, before, lane, r.reasons}})
}
