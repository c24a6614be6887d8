package traffic

import "strconv"

const incidentRow = " RETURNING i.incident_id, 1::bigint, i.principal_id, 0::bigint, NULL::bigint[], i.kind"

var (
	incidentKinds       = []string{"abuse_flag", "forced_recovery", "reverification_failure", "dispute"}
	incidentKindWeights = []float64{70, 10, 10, 10}
	bands               = []string{"soft", "moderate", "hard"}
	bandWeights         = []float64{7, 2, 1}
)

// scoreKinds are changes that only scores depend on. Each changes what is held against a principal.
func scoreKinds() []kind {
	told := func(r row) interface{} { return principalPayload{r.first} }
	return []kind{
		{event: "trust.penalty_applied", subject: "incident", weight: 3, actor: "system", pick: anyPrincipal, width: 2,
			values: func(t *Traffic, _ int64) []string {
				return []string{incidentKinds[t.random.Weighted(incidentKindWeights)], bands[t.random.Weighted(bandWeights)]}
			},
			payload: told, after: func(t *Traffic, r row) { t.uncleared.add(r.id) },
			sql: `INSERT INTO app.trust_incidents AS i (principal_id, kind, band, occurred_at)
				SELECT u.principal, u.kind, u.band, now()
				FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY u (principal, kind, band, ord)
				JOIN app.principals p ON p.principal_id = u.principal ORDER BY u.ord` + incidentRow},
		{event: "trust.penalty_decayed", subject: "incident", weight: 2, actor: "operator",
			pick:    func(t *Traffic) int64 { return t.uncleared.take(t.random) },
			payload: told,
			sql: `UPDATE app.trust_incidents i SET cleared_at = now()
				WHERE i.incident_id = ANY ($1) AND i.cleared_at IS NULL` + incidentRow},
		// How sure it is that a contact is who it seems, and since when somebody heard of it.
		{event: "contact.edge_upserted", subject: "contact", weight: 5, actor: "system", pick: anyContact, width: 2,
			values: func(t *Traffic, _ int64) []string {
				return []string{strconv.FormatFloat(float64(t.random.Intn(101))/100, 'f', 2, 64), strconv.Itoa(t.random.Intn(400))}
			},
			payload: contactChanged,
			sql: `UPDATE app.contacts c SET confidence = u.confidence::double precision, version = c.version + 1,
				  last_evidence_at = greatest(c.first_seen_at, now() - u.days::double precision * interval '24 hours')
				FROM unnest($1::bigint[], $2::text[], $3::text[]) u (id, confidence, days)
				WHERE c.contact_id = u.id AND c.state <> 'tombstoned'` + contactRow},
	}
}
