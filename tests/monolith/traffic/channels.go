package traffic

import "strconv"

const channelRow = " RETURNING c.channel_id, c.version, c.principal_id, 0::bigint, NULL::bigint[], c.state"

func channelKinds() []kind {
	// The ownership states of a channel are a machine: each change leads from some states to one.
	moved := func(event string, weight float64, actor, set string, from ...string) kind {
		return kind{event: "channel." + event, subject: "channel", weight: weight, actor: actor,
			pick:    func(t *Traffic) int64 { return t.channelIn(from) },
			payload: func(r row) interface{} { return channelPayload{r.id, r.first} },
			after:   func(t *Traffic, r row) { t.inState(r.word).add(r.id) },
			sql: "UPDATE app.channels c SET " + set +
				", version = c.version + 1 WHERE c.channel_id = ANY ($1) AND c.state IN ('" +
				from[0] + "', '" + from[len(from)-1] + "')" + channelRow}
	}
	transferred := moved("ownership_transferred", 0.4, "operator", "", "disputed")
	transferred.width, transferred.values = 1, func(t *Traffic, _ int64) []string {
		return []string{strconv.FormatInt(anyPrincipal(t), 10)}
	}
	transferred.sql = `UPDATE app.channels c SET state = 'transferred', principal_id = u.principal::bigint,
		  verified_at = now(), version = c.version + 1
		FROM unnest($1::bigint[], $2::text[]) u (id, principal) WHERE c.channel_id = u.id
			  AND c.state = 'disputed'` + channelRow
	return []kind{
		moved("claim_verified", 2, "user", "state = 'verified_active', verified_at = now()", "claim_pending",
			"recovered"),
		moved("ownership_challenged", 1.5, "user", "state = 'challenged'", "verified_active", "transferred"),
		moved("ownership_limited", 1.2, "system", "state = 'limited'", "challenged"),
		moved("dispute_opened", 1, "user", "state = 'disputed'", "limited"),
		transferred,
		moved("ownership_recovered", 0.6, "operator", "state = 'recovered'", "disputed"),
		moved("ownership_revoked", 0.3, "operator", "state = 'revoked'", "disputed", "verified_active"),
	}
}

// channelIn takes a channel that was seen in one of the states; any channel when none was.
func (t *Traffic) channelIn(states []string) int64 {
	if id := t.inState(states[t.random.Intn(len(states))]).take(t.random); id != 0 {
		return id
	}
	return t.anyOf(t.channels)
}

func (t *Traffic) inState(state string) *pool {
	known := t.byState[state]
	if known == nil {
		known = &pool{}
		t.byState[state] = known
	}
	return known
}
