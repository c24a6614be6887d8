package dispute

import (
	"encoding/json"
	"time"

	"cutover/monolith/gate"
)

// routed works on a case in its lane: everything that it has got so far, in order.
func (h *hand) routed() error {
	var p struct {
		CaseID  *int64 `json:"case_id"`
		Version *int64 `json:"version"`
		Lane    *int   `json:"lane"`
	}
	if err := json.Unmarshal(h.m.Event().Payload, &p); err != nil {
		return h.reject("%v", err)
	}
	if p.CaseID == nil || p.Version == nil || p.Lane == nil {
		return h.reject("case_id, version or lane is missing")
	}
	r, err := h.forWork(*p.CaseID)
	if err != nil || r == nil {
		return err
	}
	if r.lane != *p.Lane || r.decidedVersion >= *p.Version {
		return nil // the case went on without this message
	}
	return h.work(r, func(moment) bool { return true }, time.Time{})
}

// timerFired ends a hold or a cooling, notes a first response that did not come, or tries a channel again.
func (h *hand) timerFired() error {
	var p struct {
		CaseID *int64     `json:"case_id"`
		Timer  string     `json:"timer"`
		Due    *time.Time `json:"due"`
	}
	if err := json.Unmarshal(h.m.Event().Payload, &p); err != nil {
		return h.reject("%v", err)
	}
	if p.CaseID == nil || p.Due == nil {
		return h.reject("case_id or due is missing")
	}
	r, err := h.forWork(*p.CaseID)
	if err != nil || r == nil || r.state == "resolved" {
		return err
	}
	due := p.Due.UTC()
	is := func(at *time.Time) bool { return at != nil && at.Equal(due) }
	before := func(m moment) bool { return m.at.Before(due) }
	switch p.Timer {
	case "hold":
		if is(r.holdUntil) {
			return h.work(r, before, due)
		}
	case "cooling":
		if is(r.decideAt) {
			return h.work(r, before, due)
		}
	case "first_response":
		if r.firstResponseDue.Equal(due) && r.firstResponseAt == nil {
			return h.breach(r, due)
		}
	case "channel":
		if r.blockedBy != nil {
			return h.unblock(r, due)
		}
	default:
		return h.reject("timer %q is none", p.Timer)
	}
	return nil
}

// forWork locks the case's channel, then the case. A case that is not there is an error of whoever asked.
func (h *hand) forWork(id int64) (*record, error) {
	var channel *int64
	if err := h.tx.QueryRow(h.ctx, "SELECT max(channel_id) FROM serving.dispute_queue WHERE case_id = $1", id).Scan(&channel); err != nil {
		return nil, err
	}
	if channel != nil {
		if err := h.lock(nil, []int64{*channel}); err != nil {
			return nil, err
		}
	}
	r, err := h.load(id)
	if err == nil && r == nil {
		err = gate.Rejection{Reason: "the case was never taken in"}
	}
	return r, err
}

// work takes the events of the case that are not decided yet and wanted, then ends what ends at a time (zero: nothing more),
// and does what follows.
func (h *hand) work(r *record, wanted func(moment) bool, through time.Time) error {
	all, err := h.moments(r.id)
	if err != nil {
		return err
	}
	split := 0
	for split < len(all) && all[split].version <= r.decidedVersion {
		split++
	}
	c, err := courseOf(r, all[:split])
	if err != nil {
		return err
	}
	for _, m := range all[split:] {
		if !wanted(m) {
			break
		}
		if err := c.take(m); err != nil {
			return err
		}
	}
	if !through.IsZero() {
		c.pass(through)
	}
	r.follow(c)
	if err := h.carryOut(r, c); err != nil {
		return err
	}
	return h.save(r)
}

func (h *hand) breach(r *record, due time.Time) error {
	if err := h.audit(r.id, "first_response_missed", nil, map[string]string{"due": gate.OccurredAt(due)}); err != nil {
		return err
	}
	if err := h.say(r.id, says{name: "dispute.sla_breach", lane: r.lane, key: "sla_breach:" + timerKey(r.id, gate.OccurredAt(due)),
		payload: struct {
			CaseID int64  `json:"case_id"`
			Lane   int    `json:"lane"`
			Due    string `json:"due"`
		}{r.id, r.lane, gate.OccurredAt(due)}}); err != nil {
		return err
	}
	if err := h.escalate(r, "first_response", due); err != nil {
		return err
	}
	return h.save(r)
}
