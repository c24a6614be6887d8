package dispute

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v4"
)

// A channel's ownership state is the monolith's: a case asks for its changes, step by step, one case at a time.

const invalidTransition = "OWNERSHIP_INVALID_TRANSITION"

// transition is a row of serving.dispute_transitions.
type transition struct {
	state           string // open, waiting, closed
	path            []string
	expectedVersion int64
	blockedBy       *int64
	refused         *string
}

func (h *hand) transition(r *record) (*transition, error) {
	t := &transition{}
	var expected *int64
	err := h.tx.QueryRow(h.ctx, `
		SELECT state, path, expected_version, blocked_by, refused FROM serving.dispute_transitions WHERE case_id = $1`, r.id).
		Scan(&t.state, &t.path, &expected, &t.blockedBy, &t.refused)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if expected != nil {
		t.expectedVersion = *expected
	}
	return t, err
}

func (h *hand) saveTransition(r *record, t *transition) error {
	if t.path == nil {
		t.path = []string{}
	}
	var expected *int64
	if len(t.path) > 0 {
		expected = &t.expectedVersion
	}
	_, err := h.tx.Exec(h.ctx, `
		INSERT INTO serving.dispute_transitions (case_id, channel_id, state, path, expected_version, blocked_by, refused, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (case_id) DO UPDATE
		  SET (state, path, expected_version, blocked_by, refused, at) =
		      (excluded.state, excluded.path, excluded.expected_version, excluded.blocked_by, excluded.refused, excluded.at)`,
		r.id, *r.channel, t.state, t.path, expected, t.blockedBy, t.refused, h.now)
	return err
}

// open gives the channel to the case, or notes which case has it. The path begins with the channel's present state.
func (h *hand) openChannel(r *record) (*transition, error) {
	t, err := h.transition(r)
	if err != nil || (t != nil && t.state == "open") {
		return t, err
	}
	t = &transition{state: "open"}
	var other int64
	err = h.tx.QueryRow(h.ctx, `
		SELECT case_id FROM serving.dispute_transitions WHERE channel_id = $1 AND state = 'open' AND case_id <> $2`,
		*r.channel, r.id).Scan(&other)
	switch {
	case err == nil:
		t.state, t.blockedBy = "waiting", &other
		if r.blockedBy == nil {
			if err := h.audit(r.id, "transition_conflict", nil, map[string]int64{"channel_id": *r.channel, "blocked_by": other}); err != nil {
				return nil, err
			}
		}
		r.blockedBy = &other
		return t, h.saveTransition(r, t)
	case !errors.Is(err, pgx.ErrNoRows):
		return nil, err
	}
	r.blockedBy = nil
	var present string
	err = h.tx.QueryRow(h.ctx, "SELECT state, version FROM app.channels WHERE channel_id = $1", *r.channel).Scan(&present, &t.expectedVersion)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, h.saveTransition(r, t) // a channel that is gone is nobody's
	}
	if err != nil {
		return nil, err
	}
	t.path = []string{present}
	return t, h.saveTransition(r, t)
}

// challenge asks for the first step of a claim.
func (h *hand) challenge(r *record) error {
	t, err := h.openChannel(r)
	if err != nil || t.state != "open" || len(t.path) != 1 {
		return err
	}
	if t.path[0] == "challenged" {
		return nil
	}
	return h.step(r, t, "challenged")
}

// moveChannel asks for the whole way to where the outcome wants the channel; false while another case has it.
func (h *hand) moveChannel(r *record) (bool, error) {
	way := wayOf(r.actions)
	if way == nil || r.channel == nil {
		return true, nil
	}
	t, err := h.openChannel(r)
	if err != nil || t.state != "open" {
		return false, err
	}
	if len(t.path) == 0 {
		return true, nil
	}
	for _, goal := range way {
		for _, state := range PathTo(t.path[len(t.path)-1], goal) {
			if err := h.step(r, t, state); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func wayOf(actions []string) []string {
	for _, action := range actions {
		switch action {
		case "award_challenger", "transfer":
			return []string{"transferred"}
		case "award_incumbent":
			return []string{"recovered", "verified_active"}
		}
	}
	return nil
}

// step asks for one change of the channel, or notes that it is not allowed.
func (h *hand) step(r *record, t *transition, to string) error {
	from := t.path[len(t.path)-1]
	asked := t.expectedVersion + int64(len(t.path)) - 1
	payload := transitionPayload{*r.channel, from, to, asked, r.id, ""}
	if !Allowed(from, to) {
		payload.Reason = invalidTransition
		t.refused = optional(from + ">" + to)
		if err := h.audit(r.id, "transition_refused", nil, payload); err != nil {
			return err
		}
		if err := h.say(r.id, says{name: "channel.transition_rejected", subject: "channel", id: *r.channel, lane: r.lane,
			key: fmt.Sprintf("transition_rejected:%d:%s:%s", r.id, from, to), payload: payload}); err != nil {
			return err
		}
		return h.saveTransition(r, t)
	}
	t.path = append(t.path, to)
	if err := h.say(r.id, says{name: "channel.transition_requested", subject: "channel", id: *r.channel, lane: r.lane,
		key: fmt.Sprintf("transition:%d:%d", r.id, len(t.path)), payload: payload}); err != nil {
		return err
	}
	return h.saveTransition(r, t)
}

type transitionPayload struct {
	ChannelID       int64  `json:"channel_id"`
	From            string `json:"from"`
	To              string `json:"to"`
	ExpectedVersion int64  `json:"expected_version"`
	CaseID          int64  `json:"case_id"`
	Reason          string `json:"reason,omitempty"`
}

// freeChannel ends what the resolved case has of its channel, and wakes the case that waited longest.
func (h *hand) freeChannel(r *record, at time.Time) error {
	if r.channel == nil {
		return nil
	}
	if _, err := h.tx.Exec(h.ctx, `
		UPDATE serving.dispute_transitions SET state = 'closed', blocked_by = NULL, at = $2
		WHERE case_id = $1 AND state <> 'closed'`, r.id, h.now); err != nil {
		return err
	}
	var next, lane int64
	err := h.tx.QueryRow(h.ctx, `
		SELECT t.case_id, q.lane FROM serving.dispute_transitions t JOIN serving.dispute_queue q USING (case_id)
		WHERE t.channel_id = $1 AND t.state = 'waiting' AND q.state <> 'resolved'
		  AND NOT EXISTS (SELECT FROM serving.dispute_transitions o WHERE o.channel_id = $1 AND o.state = 'open')
		ORDER BY t.case_id LIMIT 1`, *r.channel).Scan(&next, &lane)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return h.arm(&record{id: next, lane: int(lane)}, "channel", at)
}

// unblock gives the channel to a case that waited for it, and lets an outcome take effect that waited for nothing else.
func (h *hand) unblock(r *record, at time.Time) error {
	t, err := h.openChannel(r)
	if err != nil {
		return err
	}
	if t.state == "open" {
		over := r.state == "held" && r.decideAt == nil && (r.holdUntil == nil || !r.holdUntil.After(at))
		switch {
		case over:
			err = h.conclude(r, at)
		case r.caseType == "C1" || r.caseType == "C2":
			err = h.challenge(r)
		}
		if err != nil {
			return err
		}
	}
	return h.save(r)
}
