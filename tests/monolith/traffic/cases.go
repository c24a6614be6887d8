package traffic

import (
	"context"
	"errors"
	"sort"
	"strconv"
	"time"

	"cutover/monolith/gate"
	"cutover/monolith/world"

	"github.com/jackc/pgx/v4"
)

// caseOpened is a new case with all that its type needs.
type caseOpened struct {
	traffic    *Traffic
	caseType   string
	severity   string
	principal  int64
	other      int64
	channel    int64 // 0: none
	ago        time.Duration
	business   bool
	evidence   caseEvidence
	token      string // routing token of the subject
	incomplete bool   // a field is missing: a poisoned event
}

// caseEvidence holds the fields of one type; times are ages, made into times when the case is written.
type caseEvidence map[string]interface{}

type age time.Duration

func (t *Traffic) planCase() step {
	c := &caseOpened{traffic: t, caseType: []string{"C1", "C2", "C3", "C4", "C5", "C6"}[t.random.Intn(6)],
		severity:  []string{"L1", "L2", "L3"}[t.random.Weighted([]float64{5, 3, 2})],
		principal: anyPrincipal(t), other: anyPrincipal(t), business: t.random.Chance(0.1),
		token: []string{"", "urgent", "normal"}[t.random.Weighted([]float64{6, 2, 2})]}
	if t.random.Chance(0.3) { // some principals open many
		c.principal = 1 + c.principal%7
	}
	if c.caseType == "C1" || c.caseType == "C2" {
		c.channel = t.anyOf(t.channels)
		if t.random.Chance(0.3) { // some channels are claimed by many
			c.channel = 1 + c.channel%5
		}
	}
	if t.random.Chance(t.settings.OldCases) {
		c.ago = time.Duration(t.random.Float64() * float64(12*24*time.Hour))
	}
	c.evidence = randomEvidence(t.random, c.caseType)
	c.incomplete = t.random.Chance(t.settings.Poisoned)
	return c
}

// randomEvidence makes all fields of a type; each rule of the type comes out now and then.
func randomEvidence(random *world.Random, caseType string) caseEvidence {
	yes := func(chance float64) bool { return random.Chance(chance) }
	oneOf := func(numbers ...float64) float64 { return numbers[random.Intn(len(numbers))] }
	switch caseType {
	case "C1":
		return caseEvidence{"incumbent_otp": yes(0.6), "challenger_otp": yes(0.6),
			"incumbent_device_days": int(oneOf(0, 5, 29, 30, 31, 400)), "challenger_device_days": int(oneOf(0, 5, 29, 30, 31, 400))}
	case "C2":
		return caseEvidence{"otp": yes(0.8), "old_owner_inactive_days": int(oneOf(0, 30, 90, 91, 300)),
			"claimed_at": age(time.Duration(random.Float64() * float64(14*24*time.Hour))), "old_owner_disputed": yes(0.3)}
	case "C3":
		return caseEvidence{"auto_applied": yes(0.3), "requester_confirmed_merge": yes(0.5)}
	case "C4":
		return caseEvidence{"exact_match": yes(0.4), "reporter_is_target": yes(0.5), "target_is_user": yes(0.4),
			"reporter_insists": yes(0.4), "similarity": oneOf(0, 0.5, 0.8, 0.81, 1)}
	case "C5":
		return caseEvidence{"challenger_level": random.Intn(4), "incumbent_level": random.Intn(4), "employees": int(oneOf(1, 10, 49, 50, 900))}
	default:
		return caseEvidence{"signal_ratio": oneOf(0, 1, 1.49, 1.5, 2.9, 3, 7.25), "unique_reports_24h": int(oneOf(0, 1, 2, 3, 4, 5, 12)),
			"trust_delta": oneOf(-5, 0, 12.5, 30, 30.5, 80)}
	}
}

// at makes times of the ages.
func (e caseEvidence) at(moment time.Time) map[string]interface{} {
	fields := map[string]interface{}{}
	for name, value := range e {
		if since, is := value.(age); is {
			value = gate.OccurredAt(moment.Add(-time.Duration(since)))
		}
		fields[name] = value
	}
	return fields
}

func (c *caseOpened) apply(ctx context.Context, tx pgx.Tx, done *turn) error {
	openedAt := done.now.Add(c.traffic.settings.Ahead - c.ago).UTC().Truncate(time.Microsecond)
	optional := func(id int64) interface{} {
		if id == 0 {
			return nil
		}
		return id
	}
	other := c.other
	if other == c.principal {
		other = 0
	}
	var id int64
	if err := tx.QueryRow(ctx, `
		INSERT INTO app.cases (case_type, severity, state, principal_id, counterparty_id, channel_id, opened_at)
		VALUES ($1, $2, 'open', $3, $4, $5, $6) RETURNING case_id`,
		c.caseType, c.severity, c.principal, optional(other), optional(c.channel), openedAt).Scan(&id); err != nil {
		return err
	}
	fields := c.evidence.at(openedAt)
	if c.incomplete {
		delete(fields, sortedNames(fields)[0])
		done.poisoned++
	} else {
		done.committed = append(done.committed, func() { c.traffic.caseAdded(id, openedAt) })
	}
	payload := map[string]interface{}{"case_id": id, "case_type": c.caseType, "severity": c.severity, "principal_id": c.principal,
		"opened_at": gate.OccurredAt(openedAt), "verified_business": c.business, "evidence": fields}
	if other != 0 {
		payload["counterparty_id"] = other
	}
	if c.channel != 0 {
		payload["channel_id"] = c.channel
	}
	return done.emitCase("security.case_opened", c.token, row{id: id, version: 1, first: c.principal}, openedAt, payload)
}

// caseFollowed is more evidence for a case, or its reopening.
type caseFollowed struct {
	traffic  *Traffic
	id       int64
	reopen   bool
	material bool
	fields   float64 // share of the fields that it brings
	later    float64 // of cases ahead: share of followedWithin that has passed since the case's last event
	token    string
}

const followedWithin = 5 * 24 * time.Hour

func (t *Traffic) planFollowUp() step {
	id := t.cases.take(t.random)
	if id == 0 {
		return t.planCase()
	}
	return &caseFollowed{traffic: t, id: id, reopen: t.random.Chance(0.2), material: t.random.Chance(0.7),
		fields: t.random.Float64(), later: t.random.Float64(), token: []string{"", "urgent"}[t.random.Intn(2)]}
}

func (t *Traffic) caseAdded(id int64, at time.Time) {
	t.cases.add(id)
	t.caseTimes[id] = at
}

func (f *caseFollowed) apply(ctx context.Context, tx pgx.Tx, done *turn) error {
	var r row
	var caseType string
	err := tx.QueryRow(ctx, "UPDATE app.cases SET version = version + 1 WHERE case_id = $1 RETURNING case_id, version, principal_id, case_type",
		f.id).Scan(&r.id, &r.version, &r.first, &caseType)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	at := done.now.UTC().Truncate(time.Microsecond)
	if f.traffic.settings.Ahead > 0 {
		at = f.traffic.caseTimes[f.id].Add(time.Duration(f.later * float64(followedWithin))).Truncate(time.Microsecond)
	}
	done.committed = append(done.committed, func() { f.traffic.caseAdded(f.id, at) })
	if f.reopen {
		return done.emitCase("security.case_reopened", f.token, r, at, map[string]interface{}{"case_id": r.id, "reason": "not satisfied"})
	}
	random := world.NewRandom(f.traffic.seed, r.id, r.version)
	fields := randomEvidence(random, caseType).at(at)
	for _, name := range sortedNames(fields) {
		if !random.Chance(f.fields) {
			delete(fields, name)
		}
	}
	return done.emitCase("security.case_evidence_added", f.token, r, at,
		map[string]interface{}{"case_id": r.id, "material": f.material, "evidence": fields})
}

func sortedNames(fields map[string]interface{}) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (d *turn) emitCase(name, token string, r row, at time.Time, payload interface{}) error {
	from := newRequest(d.now)
	event := gate.Event{
		ID: gate.NewEventID(d.now), Name: name, Version: 1, OccurredAt: gate.OccurredAt(at), Producer: "monolith",
		Actor:         gate.Actor{ID: strconv.FormatInt(r.first, 10), Type: "user"},
		Subject:       gate.Subject{Type: "case", ID: strconv.FormatInt(r.id, 10), Version: r.version},
		CorrelationID: from.id, CausationID: from.id,
		IdempotencyKey: name + ":" + strconv.FormatInt(r.id, 10) + ":" + strconv.FormatInt(r.version, 10),
		TenantScope:    "global", Payload: mustJSON(payload),
	}
	if err := d.add(event, from); err != nil {
		return err
	}
	if token != "" {
		d.outbox[len(d.outbox)-1].Subject += "." + token
	}
	return nil
}
