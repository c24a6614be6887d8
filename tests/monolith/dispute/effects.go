package dispute

import (
	"fmt"
	"time"
)

// carryOut does what follows from the course that a case took: rows, events, timers.
func (h *hand) carryOut(r *record, c *course) error {
	laneBefore := r.lane
	for _, happened := range c.happened {
		var err error
		switch e := happened.(type) {
		case evaluated:
			err = h.decided(r, e)
		case holdStarted:
			err = h.startHold(r, e)
		case holdProlonged:
			err = h.prolongHold(r, e)
		case holdEnded:
			h.disarm(r, "hold")
			err = h.lift(r, "channel_limited", e.at)
		case tookEffect:
			err = h.conclude(r, e.at)
		case appealed:
			err = h.appeal(r, e)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case r.state == "resolved":
	case c.over || c.final():
		r.state = "held"
	case c.outcome == wait:
		r.state = "waiting"
	default:
		r.state = "queued"
	}
	if r.version > r.decidedVersion && r.lane != laneBefore {
		return h.route(r) // what is still to be decided waited in the old lane
	}
	return nil
}

func (h *hand) decided(r *record, e evaluated) error {
	lane := r.routedLane
	if e.decision.Named {
		lane = e.decision.Lane
	}
	if _, err := h.tx.Exec(h.ctx, `
		INSERT INTO serving.dispute_decisions (case_id, evaluation, version, cause, as_of, rule, outcome, confidence, lane, hold_hours,
		  actions, stream, seq)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8::text::numeric, $9, $10, $11, e.stream, e.seq
		FROM serving.dispute_evidence e WHERE e.case_id = $1 AND e.version = $3`,
		r.id, e.number, e.version, e.cause, e.asOf, e.decision.Rule, e.decision.Outcome, e.decision.Confidence, lane,
		e.decision.HoldHours, e.decision.Actions); err != nil {
		return err
	}
	if err := h.audit(r.id, "decided", &e.decision.Rule, map[string]interface{}{"evaluation": e.number, "outcome": e.decision.Outcome}); err != nil {
		return err
	}
	if err := h.enter(r, EffectiveLane(r.baseLane, r.reasons), e.asOf); err != nil {
		return err
	}
	if e.cause == byOpening && (r.caseType == "C1" || r.caseType == "C2") && r.channel != nil {
		if err := h.challenge(r); err != nil {
			return err
		}
	}
	for _, action := range e.decision.Actions {
		if err := h.restrict(r, Restrictions(action, r.severity), e.asOf); err != nil {
			return err
		}
		if action == "warn" && !r.warned {
			r.warned = true
			if err := h.say(r.id, says{name: "dispute.warning_issued", lane: r.lane, key: fmt.Sprintf("warning:%d", r.id),
				payload: casePayload{r.id, r.principal}}); err != nil {
				return err
			}
		}
	}
	h.disarm(r, "cooling")
	if e.decision.Outcome == wait {
		if err := h.arm(r, "cooling", e.decision.DecideAt); err != nil {
			return err
		}
	}
	if e.decision.final() {
		h.respond(r)
		return nil
	}
	return h.notify(r, "in_review", nil)
}

// respond notes the first response, which no timer waits for any more.
func (h *hand) respond(r *record) {
	if r.firstResponseAt == nil {
		r.firstResponseAt = &h.now
		h.disarm(r, "first_response")
	}
}

type casePayload struct {
	CaseID      int64 `json:"case_id"`
	PrincipalID int64 `json:"principal_id"`
}

const notificationsMax = 3

// notify tells the principal how the case stands; the last notification is kept for the resolution.
func (h *hand) notify(r *record, outcome string, required []string) error {
	last := notificationsMax - 1
	if outcome != "in_review" {
		last = notificationsMax
	}
	if r.notifications >= last {
		return nil
	}
	r.notifications++
	if required == nil {
		required = []string{}
	}
	return h.say(r.id, says{name: "dispute.notification_requested", lane: r.lane,
		key: fmt.Sprintf("notification:%d:%d", r.id, r.notifications),
		payload: struct {
			casePayload
			Outcome  string   `json:"outcome"`
			Required []string `json:"required_actions"`
		}{casePayload{r.id, r.principal}, outcome, required}})
}

type holdPayload struct {
	casePayload
	Until time.Time `json:"until"`
	Rule  string    `json:"rule"`
}

func (h *hand) startHold(r *record, e holdStarted) error {
	if r.channel != nil {
		if err := h.restrict(r, []string{"channel_limited"}, e.at); err != nil {
			return err
		}
	}
	if err := h.say(r.id, says{name: "dispute.hold_started", lane: r.lane, key: fmt.Sprintf("hold_started:%d:%d", r.id, e.until.Unix()),
		payload: holdPayload{casePayload{r.id, r.principal}, e.until, *r.holdRule}}); err != nil {
		return err
	}
	return h.arm(r, "hold", e.until)
}

func (h *hand) prolongHold(r *record, e holdProlonged) error {
	if err := h.say(r.id, says{name: "dispute.hold_extended", lane: r.lane, key: fmt.Sprintf("hold_extended:%d:%d", r.id, e.until.Unix()),
		payload: holdPayload{casePayload{r.id, r.principal}, e.until, *r.holdRule}}); err != nil {
		return err
	}
	return h.arm(r, "hold", e.until)
}

// conclude lets the outcome of the last decision take effect, unless another case has to end first.
func (h *hand) conclude(r *record, at time.Time) error {
	free, err := h.moveChannel(r)
	if err != nil {
		return err
	}
	if !free {
		r.state = "held"
		return nil
	}
	r.state, r.resolvedAt, r.resolvedBy, r.blockedBy = "resolved", &at, r.rule, nil
	h.disarm(r, "hold", "cooling", "first_response", "channel")
	if err := h.liftAll(r, at); err != nil {
		return err
	}
	if err := h.audit(r.id, "resolved", r.rule, map[string]interface{}{"outcome": *r.outcome, "actions": r.actions}); err != nil {
		return err
	}
	type resolution struct {
		casePayload
		Counterparty *int64   `json:"counterparty_id,omitempty"`
		ChannelID    *int64   `json:"channel_id,omitempty"`
		Outcome      string   `json:"outcome"`
		Rule         string   `json:"rule"`
		Actions      []string `json:"actions"`
	}
	told := resolution{casePayload{r.id, r.principal}, r.counterparty, r.channel, *r.outcome, *r.rule, r.actions}
	if err := h.say(r.id, says{name: "dispute.auto_adjudicated", lane: r.lane, key: fmt.Sprintf("auto_adjudicated:%d", r.id), payload: told}); err != nil {
		return err
	}
	if err := h.say(r.id, says{name: "security.case_resolved", lane: r.lane, key: fmt.Sprintf("case_resolved:%d", r.id), payload: told}); err != nil {
		return err
	}
	principals := []int64{r.principal}
	if r.counterparty != nil && *r.counterparty != r.principal {
		principals = append(principals, *r.counterparty)
	}
	if err := h.say(r.id, says{name: "score.recompute_requested", lane: r.lane, key: fmt.Sprintf("recompute:case:%d", r.id),
		payload: struct {
			Scope      string  `json:"scope"`
			Principals []int64 `json:"principal_ids"`
			Reason     string  `json:"reason"`
		}{"principals", principals, "case_resolved"}}); err != nil {
		return err
	}
	if err := h.notify(r, *r.outcome, nil); err != nil {
		return err
	}
	return h.freeChannel(r, at)
}

// appeal opens a case that waits for an operator, once for each case.
func (h *hand) appeal(r *record, e appealed) error {
	const lane = 2
	tag, err := h.tx.Exec(h.ctx, `
		INSERT INTO serving.dispute_queue (case_id, case_type, severity, principal_id, counterparty_id, channel_id, opened_at,
		  verified_business, appeal_of, state, version, decided_version, routed_lane, base_lane, lane, first_response_due, stream, seq)
		VALUES (-$1::bigint, $2, $3, $4, $5, $6, $7, $8, $1, 'queued', 0, 0, $9, $9, $9, $10, $11, $12)
		ON CONFLICT DO NOTHING`, r.id, r.caseType, r.severity, r.principal, r.counterparty, r.channel, e.at, r.verifiedBusiness,
		lane, e.at.Add(ResponseLimit(lane)), r.stream, r.sequence)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if err := h.audit(-r.id, "appeal_filed", nil, casePayload{r.id, r.principal}); err != nil {
		return err
	}
	return h.say(r.id, says{name: "dispute.appeal_filed", lane: lane, key: fmt.Sprintf("appeal:%d", r.id),
		payload: struct {
			casePayload
			AppealID int64 `json:"appeal_id"`
		}{casePayload{r.id, r.principal}, -r.id}})
}
