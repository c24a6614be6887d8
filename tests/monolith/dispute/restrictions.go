package dispute

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v4"
)

// restricted is whom the restrictions of a case are about.
func (r *record) restricted() int64 {
	if (r.caseType == "C4" || r.caseType == "C5") && r.counterparty != nil {
		return *r.counterparty
	}
	return r.principal
}

// restrict applies the kinds that the case has not applied; one that was lifted comes back.
func (h *hand) restrict(r *record, kinds []string, at time.Time) error {
	for _, kind := range kinds {
		tag, err := h.tx.Exec(h.ctx, `
			INSERT INTO serving.dispute_restrictions AS x (case_id, kind, principal_id, channel_id, applied_at)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (case_id, kind) DO UPDATE SET applied_at = excluded.applied_at, lifted_at = NULL WHERE x.lifted_at IS NOT NULL`,
			r.id, kind, r.restricted(), r.channel, at)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			continue
		}
		if err := h.say(r.id, says{name: "dispute.restriction_applied", lane: r.lane,
			key: fmt.Sprintf("restricted:%d:%s:%d", r.id, kind, r.evaluations), payload: restrictionPayload{r.id, kind, r.restricted()}}); err != nil {
			return err
		}
	}
	return nil
}

type restrictionPayload struct {
	CaseID      int64  `json:"case_id"`
	Kind        string `json:"kind"`
	PrincipalID int64  `json:"principal_id"`
}

func (h *hand) lift(r *record, kind string, at time.Time) error {
	return h.liftWhere(r, at, "kind = $3", kind)
}

func (h *hand) liftAll(r *record, at time.Time) error { return h.liftWhere(r, at, "$3 = ''", "") }

func (h *hand) liftWhere(r *record, at time.Time, condition, kind string) error {
	rows, err := h.tx.Query(h.ctx, `
		UPDATE serving.dispute_restrictions SET lifted_at = $2
		WHERE case_id = $1 AND lifted_at IS NULL AND `+condition+` RETURNING kind`, r.id, at, kind)
	if err != nil {
		return err
	}
	kinds, err := collect(rows)
	if err != nil {
		return err
	}
	for _, lifted := range kinds {
		if err := h.say(r.id, says{name: "dispute.restriction_lifted", lane: r.lane,
			key: fmt.Sprintf("lifted:%d:%s:%d", r.id, lifted, r.evaluations), payload: restrictionPayload{r.id, lifted, r.restricted()}}); err != nil {
			return err
		}
	}
	return nil
}

func collect(rows pgx.Rows) ([]string, error) {
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
