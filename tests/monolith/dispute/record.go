package dispute

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v4"
)

// record is a row of serving.dispute_queue.
type record struct {
	id                 int64
	caseType, severity string
	principal          int64
	counterparty       *int64
	channel            *int64
	openedAt           time.Time
	verifiedBusiness   bool
	appealOf           *int64
	state              string
	version            int64
	decidedVersion     int64
	evaluations        int
	routedLane         int
	baseLane           int
	lane               int
	reasons            []string
	firstResponseDue   time.Time
	firstResponseAt    *time.Time
	holdUntil          *time.Time
	holdRule           *string
	holdExtended       bool
	decideAt           *time.Time
	rule, outcome      *string
	actions            []string
	blockedBy          *int64
	warned             bool
	notifications      int
	resolvedAt         *time.Time
	resolvedBy         *string
	stream             string
	sequence           int64
}

const recordColumns = `case_id, case_type, severity, principal_id, counterparty_id, channel_id, opened_at, verified_business,
	appeal_of, state, version, decided_version, evaluations, routed_lane, base_lane, lane, reasons, first_response_due,
	first_response_at, hold_until, hold_rule, hold_extended, decide_at, rule, outcome, actions, blocked_by, warned, notifications,
	resolved_at, resolved_by, stream, seq`

// load locks the row; nil when there is none.
func (h *hand) load(id int64) (*record, error) {
	var r record
	err := h.tx.QueryRow(h.ctx, "SELECT "+recordColumns+" FROM serving.dispute_queue WHERE case_id = $1 FOR UPDATE", id).Scan(
		&r.id, &r.caseType, &r.severity, &r.principal, &r.counterparty, &r.channel, &r.openedAt, &r.verifiedBusiness,
		&r.appealOf, &r.state, &r.version, &r.decidedVersion, &r.evaluations, &r.routedLane, &r.baseLane, &r.lane, &r.reasons,
		&r.firstResponseDue, &r.firstResponseAt, &r.holdUntil, &r.holdRule, &r.holdExtended, &r.decideAt, &r.rule, &r.outcome,
		&r.actions, &r.blockedBy, &r.warned, &r.notifications, &r.resolvedAt, &r.resolvedBy, &r.stream, &r.sequence)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &r, err
}

// save writes the row, new or not.
func (h *hand) save(r *record) error {
	if r.actions == nil {
		r.actions = []string{}
	}
	if r.reasons == nil {
		r.reasons = []string{}
	}
	_, err := h.tx.Exec(h.ctx, `
		INSERT INTO serving.dispute_queue (`+recordColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
		  $26, $27, $28, $29, $30, $31, $32, $33)
		ON CONFLICT (case_id) DO UPDATE
		  SET (state, version, decided_version, evaluations, base_lane, lane, reasons, first_response_due, first_response_at,
		       hold_until, hold_rule, hold_extended, decide_at, rule, outcome, actions, blocked_by, warned, notifications,
		       resolved_at, resolved_by, stream, seq) =
		      (excluded.state, excluded.version, excluded.decided_version, excluded.evaluations, excluded.base_lane,
		       excluded.lane, excluded.reasons, excluded.first_response_due, excluded.first_response_at, excluded.hold_until,
		       excluded.hold_rule, excluded.hold_extended, excluded.decide_at, excluded.rule, excluded.outcome, excluded.actions,
		       excluded.blocked_by, excluded.warned, excluded.notifications, excluded.resolved_at, excluded.resolved_by,
		       excluded.stream, excluded.seq)`,
		r.id, r.caseType, r.severity, r.principal, r.counterparty, r.channel, r.openedAt, r.verifiedBusiness,
		r.appealOf, r.state, r.version, r.decidedVersion, r.evaluations, r.routedLane, r.baseLane, r.lane, r.reasons,
		r.firstResponseDue, r.firstResponseAt, r.holdUntil, r.holdRule, r.holdExtended, r.decideAt, r.rule, r.outcome,
		r.actions, r.blockedBy, r.warned, r.notifications, r.resolvedAt, r.resolvedBy, r.stream, r.sequence)
	return err
}

// addMoment keeps what a case event said.
func (h *hand) addMoment(id int64, m moment) error {
	_, err := h.tx.Exec(h.ctx, `
		INSERT INTO serving.dispute_evidence (case_id, version, kind, material, at, evidence, stream, seq)
		VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8)`,
		id, m.version, m.kind, m.material, m.at, string(m.evidence), h.m.Stream, h.m.Sequence)
	return err
}

// moments are the events of a case in order.
func (h *hand) moments(id int64) ([]moment, error) {
	rows, err := h.tx.Query(h.ctx, `
		SELECT version, kind, material, at, evidence::text FROM serving.dispute_evidence WHERE case_id = $1 ORDER BY version`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []moment
	for rows.Next() {
		var m moment
		var text string
		if err := rows.Scan(&m.version, &m.kind, &m.material, &m.at, &text); err != nil {
			return nil, err
		}
		m.evidence = json.RawMessage(text)
		all = append(all, m)
	}
	return all, rows.Err()
}

// audit adds a line about a case.
func (h *hand) audit(id int64, what string, rule *string, detail interface{}) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	_, err = h.tx.Exec(h.ctx, `
		INSERT INTO serving.dispute_audit (case_id, at, what, rule, actor_id, actor_type, detail, stream, seq)
		VALUES ($1, $2, $3, $4, 'monolith', 'system', $5::jsonb, $6, $7)`,
		id, h.now, what, rule, string(text), h.m.Stream, h.m.Sequence)
	return err
}

// lock keeps everybody else out who compares these principals' cases or moves these channels.
func (h *hand) lock(principals, channels []int64) error {
	_, err := h.tx.Exec(h.ctx, "SELECT serving.lock_disputes('serving.dispute_queue', $1::bigint[], $2::bigint[])", principals, channels)
	return err
}

// courseOf is the course of a case from where it stands, with what is known by the events that it has decided.
func courseOf(r *record, decided []moment) (*course, error) {
	c := &course{caseType: r.caseType, severity: r.severity, routedLane: r.routedLane, decidedVersion: r.decidedVersion,
		evaluations: r.evaluations, baseLane: r.baseLane, actions: r.actions, holdExtended: r.holdExtended}
	if r.rule != nil {
		c.rule = *r.rule
	}
	if r.outcome != nil {
		c.outcome = *r.outcome
	}
	if r.holdUntil != nil {
		c.holdUntil = *r.holdUntil
	}
	if r.holdRule != nil {
		c.holdRule = *r.holdRule
	}
	if r.decideAt != nil {
		c.decideAt = *r.decideAt
	}
	// Without a hold a final outcome that still stands waits for its channel only.
	c.over = r.state == "resolved" || (c.final() && c.holdUntil.IsZero())
	for _, m := range decided {
		if _, err := c.known.Take(r.caseType, m.evidence, false); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// follow writes the course back into the row.
func (r *record) follow(c *course) {
	r.decidedVersion, r.evaluations, r.baseLane, r.actions, r.holdExtended = c.decidedVersion, c.evaluations, c.baseLane, c.actions, c.holdExtended
	r.rule, r.outcome, r.holdRule = optional(c.rule), optional(c.outcome), optional(c.holdRule)
	r.holdUntil, r.decideAt = optionalTime(c.holdUntil), optionalTime(c.decideAt)
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func optionalTime(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
