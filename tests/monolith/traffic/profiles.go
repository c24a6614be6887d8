package traffic

import "cutover/monolith/world"

const profileRow = " RETURNING p.profile_id, p.version, p.owner_principal_id, 0::bigint, NULL::bigint[], p.profile_class"

func profileChanged(r row) interface{} { return profilePayload{r.id, r.first, r.word, ""} }

func profileKinds() []kind {
	return []kind{
		{event: "profile.updated", subject: "profile", weight: 5, actor: "user", pick: anyProfile,
			payload: profileChanged, width: 1,
			values: func(t *Traffic, _ int64) []string { return []string{world.PersonName(t.random)} },
			sql: `UPDATE app.profiles p SET display_name = u.name, updated_at = now(), version = p.version + 1
				FROM unnest($1::bigint[], $2::text[]) u (id, name) WHERE p.profile_id = u.id` + profileRow},
		{event: "profile.updated", subject: "profile", weight: 5, actor: "user", pick: anyProfile,
			payload: profileChanged, width: 2,
			values: func(t *Traffic, _ int64) []string {
				return []string{world.CompanyName(t.seed, int64(t.random.Intn(500))), world.JobTitle(t.random)}
			},
			sql: `UPDATE app.profiles p SET company_name = u.company, job_title = u.job, updated_at = now(),
				  version = p.version + 1
				FROM unnest($1::bigint[], $2::text[], $3::text[]) u (id, company, job)
				WHERE p.profile_id = u.id` + profileRow},
		{event: "profile.visibility_changed", subject: "profile", weight: 5, actor: "user", pick: anyProfile,
			payload: profileChanged,
			sql: `UPDATE app.profiles p SET discoverable = NOT coalesce(p.discoverable, false),
				  updated_at = now(), version = p.version + 1
				WHERE p.profile_id = ANY ($1)` + profileRow},
		{event: "profile.class_changed", subject: "profile", weight: 1.5, actor: "business_admin",
			pick: anyProfile, width: 1,
			values: func(t *Traffic, _ int64) []string {
				return []string{[]string{"shadow", "business", "employee"}[t.random.Intn(3)]}
			},
			payload: func(r row) interface{} {
				return profilePayload{r.id, r.first, r.word, previousClass(r.second)}
			},
			// A profile of class single stays: everybody has at most one.
			sql: `
			WITH old AS (
			  SELECT p.profile_id, p.profile_class FROM app.profiles p
			  WHERE p.profile_id = ANY ($1) ORDER BY p.profile_id FOR UPDATE)
			UPDATE app.profiles p SET profile_class = u.class, updated_at = now(), version = p.version + 1
			FROM unnest($1::bigint[], $2::text[]) u (id, class) JOIN old ON old.profile_id = u.id
			WHERE p.profile_id = u.id AND old.profile_class <> 'single' AND old.profile_class <> u.class
			RETURNING p.profile_id, p.version, p.owner_principal_id,
			          array_position(ARRAY['shadow', 'business', 'employee'], old.profile_class)::bigint,
			          NULL::bigint[], p.profile_class`},
	}
}

func previousClass(position int64) string {
	return []string{"shadow", "business", "employee"}[position-1]
}

func anyProfile(t *Traffic) int64 { return t.anyOf(t.profiles) }
