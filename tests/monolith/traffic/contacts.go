package traffic

import (
	"strconv"

	"cutover/monolith/world"
)

const contactRow = " RETURNING c.contact_id, c.version, c.owner_id, coalesce(c.target_id, 0), NULL::bigint[], ''"

func contactChanged(r row) interface{} { return contactPayload{r.id, r.first, r.second} }

func contactKinds() []kind {
	edit := func(weight float64, width int, values func(*Traffic, int64) []string, set, from string) kind {
		return kind{event: "contact.edge_upserted", subject: "contact", weight: weight, actor: "user",
			pick:  anyContact,
			width: width, values: values, payload: contactChanged,
			sql: "UPDATE app.contacts c SET " + set + ", version = c.version + 1 FROM " + from +
				" WHERE c.contact_id = u.id AND c.state <> 'tombstoned'" + contactRow}
	}
	return []kind{
		{event: "contact.edge_upserted", subject: "contact", weight: 10, actor: "user", pick: anyPrincipal,
			width: 4, values: newContact, payload: contactChanged, after: contactAdded, sql: addContacts},
		edit(9, 1, func(t *Traffic, _ int64) []string { return []string{world.PersonName(t.random)} },
			"display_name = u.name", "unnest($1::bigint[], $2::text[]) u (id, name)"),
		edit(7, 1, func(t *Traffic, id int64) []string { return []string{world.Phone(t.random, id)} },
			"phone = u.phone", "unnest($1::bigint[], $2::text[]) u (id, phone)"),
		edit(7, 2, func(t *Traffic, _ int64) []string {
			return []string{world.CompanyName(t.seed, int64(t.random.Intn(500))), world.JobTitle(t.random)}
		}, "company_name = u.company, job_title = u.job",
			"unnest($1::bigint[], $2::text[], $3::text[]) u (id, company, job)"),
		edit(3, 1, func(t *Traffic, id int64) []string {
			return []string{world.Email(t.random, world.PersonName(t.random), id)}
		}, "email = u.email", "unnest($1::bigint[], $2::text[]) u (id, email)"),
		// Seen again: nothing that a reader sees.
		edit(8, 0, nil, "last_evidence_at = now(), state = 'active_confirmed'", "unnest($1::bigint[]) u (id)"),
		{event: "contact.edge_deleted", subject: "contact", weight: 6, actor: "user", pick: anyContact,
			payload: contactChanged,
			after:   func(t *Traffic, r row) { t.tombstoned.add(r.id) },
			sql: `UPDATE app.contacts c SET state = 'tombstoned', ended_at = now(), version = c.version + 1
				WHERE c.contact_id = ANY ($1) AND c.state <> 'tombstoned'` + contactRow},
		{event: "contact.edge_restored", subject: "contact", weight: 4, actor: "user", payload: contactChanged,
			pick: func(t *Traffic) int64 { return t.tombstoned.take(t.random) },
			sql: `UPDATE app.contacts c SET state = 'active_probable', ended_at = NULL,
				  last_evidence_at = now(), version = c.version + 1
				WHERE c.contact_id = ANY ($1) AND c.state IN ('tombstoned', 'archived')` + contactRow},
		{event: "contact.edge_stale_marked", subject: "contact", weight: 4, actor: "system", pick: anyContact,
			payload: contactChanged,
			sql: `UPDATE app.contacts c SET state = 'stale_decay', confidence = c.confidence * 0.8,
				  version = c.version + 1
				WHERE c.contact_id = ANY ($1) AND c.state IN ('active_confirmed', 'active_probable')` + contactRow},
		{event: "contact.merge_contested", subject: "contact", weight: 1.5, actor: "user", pick: anyContact,
			payload: contactChanged,
			after:   func(t *Traffic, r row) { t.contested.add(r.id) },
			sql: `UPDATE app.contacts c SET contested = true, version = c.version + 1
				WHERE c.contact_id = ANY ($1) AND NOT c.contested AND c.state <> 'tombstoned'` + contactRow},
		{event: "contact.merge_split_applied", subject: "contact", weight: 1, actor: "operator",
			payload: contactChanged,
			pick:    func(t *Traffic) int64 { return t.contested.take(t.random) },
			sql: `UPDATE app.contacts c SET contested = false, version = c.version + 1
				WHERE c.contact_id = ANY ($1) AND c.contested` + contactRow},
	}
}

const addContacts = `
	INSERT INTO app.contacts AS c (owner_id, target_id, display_name, phone, company_name, state, confidence)
	SELECT u.owner, nullif(u.target, '')::bigint, u.name, u.phone, nullif(u.company, ''), 'active_probable', 0.7
	FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
	     WITH ORDINALITY u (owner, target, name, phone, company, ord)
	JOIN app.principals p ON p.principal_id = u.owner
	WHERE NOT EXISTS (
	  SELECT FROM app.contacts k WHERE k.owner_id = u.owner AND k.target_id = nullif(u.target, '')::bigint)
	ORDER BY u.ord
	ON CONFLICT DO NOTHING` + contactRow

// newContact returns what an owner types: target (empty: no principal), name, phone, company.
func newContact(t *Traffic, owner int64) []string {
	target, company := "", ""
	if other := anyPrincipal(t); other != owner && t.random.Chance(0.4) {
		target = strconv.FormatInt(other, 10)
	}
	if t.random.Chance(0.3) {
		company = world.CompanyName(t.seed, int64(t.random.Intn(500)))
	}
	phone := world.Phone(t.random, int64(t.random.Intn(10_000_000)))
	return []string{target, world.PersonName(t.random), phone, company}
}

func contactAdded(t *Traffic, r row) {
	if r.id > t.contacts {
		t.contacts = r.id
	}
}

func anyContact(t *Traffic) int64 { return t.anyOf(t.contacts) }

func anyPrincipal(t *Traffic) int64 { return t.anyOf(t.principals) }

func (t *Traffic) anyOf(last int64) int64 {
	if last == 0 {
		return 0
	}
	return 1 + int64(t.random.Uint64()%uint64(last))
}
