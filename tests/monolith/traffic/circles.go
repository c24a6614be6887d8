package traffic

import "cutover/monolith/world"

func circleChanged(r row) interface{} {
	if r.ids == nil {
		r.ids = []int64{}
	}
	return circlePayload{r.id, r.first, r.ids}
}

func circleKinds() []kind {
	name := func(t *Traffic, _ int64) []string { return []string{world.CircleName(t.random)} }
	changed := func(weight float64, sql string) kind {
		return kind{event: "policy.circle_membership_changed", subject: "circle", weight: weight,
			actor: "user", pick: anyCircle,
			payload: circleChanged, sql: sql}
	}
	rename := changed(2, `
		WITH c AS (
		  UPDATE app.circles c SET name = u.name, version = c.version + 1
		  FROM unnest($1::bigint[], $2::text[]) u (id, name) WHERE c.circle_id = u.id RETURNING c.*)
		SELECT c.circle_id, c.version, c.owner_id, 0::bigint,
		       ARRAY(SELECT m.contact_id FROM app.circle_members m
			  WHERE m.circle_id = c.circle_id ORDER BY m.contact_id), ''
		FROM c ORDER BY c.circle_id`)
	rename.width, rename.values = 1, name
	return []kind{
		{event: "policy.circle_created", subject: "circle", weight: 1.5, actor: "user", pick: anyPrincipal,
			width: 1, values: name,
			payload: circleChanged, after: circleAdded,
			sql: `
			WITH c AS (
			  INSERT INTO app.circles (owner_id, name)
			  SELECT u.owner, u.name FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY u (owner, name, ord)
			  JOIN app.principals p ON p.principal_id = u.owner ORDER BY u.ord
			  RETURNING circle_id, version, owner_id),
			m AS (
			  INSERT INTO app.circle_members (circle_id, contact_id)
			  SELECT c.circle_id, k.contact_id FROM c CROSS JOIN LATERAL (
			    SELECT contact_id FROM app.contacts WHERE owner_id = c.owner_id LIMIT 8) k
			  RETURNING circle_id, contact_id)
			SELECT c.circle_id, c.version, c.owner_id, 0::bigint,
			       ARRAY(SELECT m.contact_id FROM m WHERE m.circle_id = c.circle_id ORDER BY m.contact_id), ''
			FROM c ORDER BY c.circle_id`},
		changed(4, `
			WITH c AS (
			  UPDATE app.circles c SET version = c.version + 1 WHERE c.circle_id = ANY ($1) RETURNING c.*),
			m AS (
			  INSERT INTO app.circle_members (circle_id, contact_id)
			  SELECT c.circle_id, k.contact_id FROM c CROSS JOIN LATERAL (
			    SELECT contact_id FROM app.contacts WHERE owner_id = c.owner_id AND contact_id NOT IN (
			      SELECT contact_id FROM app.circle_members WHERE circle_id = c.circle_id) LIMIT 4) k
			  ON CONFLICT DO NOTHING
			  RETURNING circle_id, contact_id)
			SELECT c.circle_id, c.version, c.owner_id, 0::bigint,
			       ARRAY(SELECT m.contact_id FROM m WHERE m.circle_id = c.circle_id ORDER BY m.contact_id), ''
			FROM c ORDER BY c.circle_id`),
		changed(3, `
			WITH c AS (
			  UPDATE app.circles c SET version = c.version + 1 WHERE c.circle_id = ANY ($1) RETURNING c.*),
			m AS (
			  DELETE FROM app.circle_members m USING c CROSS JOIN LATERAL (
			    SELECT contact_id FROM app.circle_members
				  WHERE circle_id = c.circle_id ORDER BY contact_id LIMIT 3) k
			  WHERE m.circle_id = c.circle_id AND m.contact_id = k.contact_id
			  RETURNING m.circle_id, m.contact_id)
			SELECT c.circle_id, c.version, c.owner_id, 0::bigint,
			       ARRAY(SELECT m.contact_id FROM m WHERE m.circle_id = c.circle_id ORDER BY m.contact_id), ''
			FROM c ORDER BY c.circle_id`),
		rename,
	}
}

func circleAdded(t *Traffic, r row) {
	if r.id > t.circles {
		t.circles = r.id
	}
}

func anyCircle(t *Traffic) int64 { return t.anyOf(t.circles) }
