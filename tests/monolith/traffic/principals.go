package traffic

import "cutover/monolith/world"

const principalRow = " RETURNING p.principal_id, p.version, 0::bigint, 0::bigint, NULL::bigint[], ''"

func principalChanged(r row) interface{} { return principalPayload{r.id} }

func principalKinds() []kind {
	changed := func(event string, weight float64, pick func(*Traffic) int64, sql string) kind {
		return kind{event: event, subject: "principal", weight: weight, actor: "user", pick: pick,
			payload: principalChanged,
			sql:     sql + principalRow}
	}
	assigned := changed("identity.username_assigned", 2.5, anyPrincipal, `
		UPDATE app.principals p SET username = u.name, version = p.version + 1
		FROM unnest($1::bigint[], $2::text[]) u (id, name) WHERE p.principal_id = u.id`)
	assigned.width, assigned.values = 1, func(t *Traffic, id int64) []string {
		return []string{world.Username(world.PersonName(t.random), id)}
	}
	restricted := changed("identity.account_restricted", 1, anyPrincipal, `
		UPDATE app.principals p SET status = 'restricted', version = p.version + 1
		WHERE p.principal_id = ANY ($1) AND p.status = 'active'`)
	restricted.actor, restricted.after = "operator", func(t *Traffic, r row) { t.restricted.add(r.id) }
	restored := changed("identity.account_restored", 1,
		func(t *Traffic) int64 { return t.restricted.take(t.random) }, `
		UPDATE app.principals p SET status = 'active', version = p.version + 1
		WHERE p.principal_id = ANY ($1) AND p.status = 'restricted'`)
	restored.actor = "operator"
	return []kind{
		changed("identity.principal_updated", 2, anyPrincipal,
			`UPDATE app.principals p SET version = p.version + 1 WHERE p.principal_id = ANY ($1)`),
		assigned,
		changed("identity.username_released", 1, anyPrincipal, `
			UPDATE app.principals p SET username = NULL, version = p.version + 1
			WHERE p.principal_id = ANY ($1) AND p.username IS NOT NULL`),
		restricted,
		restored,
	}
}
