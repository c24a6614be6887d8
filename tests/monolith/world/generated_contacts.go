package world

import (
	"strings"
	"time"
)

var (
	contactStates = []string{"active_confirmed", "active_probable", "stale_decay", "dormant", "archived",
		"tombstoned"}
	contactStateWeights = []float64{62, 20, 8, 4, 3, 3}
	lowestConfidence    = map[string]float64{"active_confirmed": 0.6, "active_probable": 0.4}
)

// Contacts implements World: owner by owner, those that are principals first.
func (g *Generated) Contacts(row func(Contact)) {
	id := int64(0)
	for u, degree := range g.degrees {
		random := NewRandom(g.plan.Seed, streamContacts, int64(u))
		for i := 0; i < degree; i++ {
			id++
			contact := Contact{}
			contact.ID, contact.OwnerID = id, int64(u)+1
			if i < len(g.ties[u]) {
				g.describePrincipal(random, int(g.ties[u][i]), &contact)
			} else {
				g.describeStranger(random, id, &contact)
			}
			g.dateContact(random, g.people[u].createdAt, &contact)
			row(contact)
		}
	}
}

// What an owner typed about somebody who is a principal: the name in some form, and channels that the owner knows.
func (g *Generated) describePrincipal(random *Random, target int, contact *Contact) {
	p := &g.people[target]
	contact.TargetID = int64(target) + 1
	contact.DisplayName = p.name
	if random.Chance(0.15) {
		contact.DisplayName, _, _ = strings.Cut(p.name, " ")
	}
	if phone := g.phones[target]; phone >= 0 && random.Chance(0.9) {
		contact.Phone = g.channels[phone].Value
	}
	if email := g.emails[target]; email >= 0 && random.Chance(0.4) {
		contact.Email = g.channels[email].Value
	}
	if random.Chance(0.35) {
		contact.CompanyName = CompanyName(g.plan.Seed, p.company)
	}
	if random.Chance(0.25) {
		contact.JobTitle = p.job
	}
}

func (g *Generated) describeStranger(random *Random, id int64, contact *Contact) {
	contact.DisplayName = PersonName(random)
	contact.Phone = Phone(random, id)
	if random.Chance(0.3) {
		contact.Email = Email(random, contact.DisplayName, id)
	}
	if random.Chance(0.4) {
		contact.CompanyName = CompanyName(g.plan.Seed, g.company(random))
	}
	if random.Chance(0.25) {
		contact.JobTitle = JobTitle(random)
	}
}

func (g *Generated) dateContact(random *Random, ownerSince time.Time, contact *Contact) {
	contact.State = contactStates[random.Weighted(contactStateWeights)]
	low := lowestConfidence[contact.State]
	contact.Confidence = low + (1-low)*random.Float64()
	contact.Contested = random.Chance(0.003)
	contact.FirstSeenAt = random.timeBetween(ownerSince, g.plan.AsOf)
	known := g.plan.AsOf.Sub(contact.FirstSeenAt)
	quiet := time.Duration(random.Exponential(70) * float64(24*time.Hour))
	if quiet > known {
		quiet = time.Duration(random.Float64() * float64(known))
	}
	contact.LastEvidenceAt = g.plan.AsOf.Add(-quiet).Truncate(time.Microsecond)
	if contact.State == "tombstoned" {
		contact.EndedAt = random.timeBetween(contact.LastEvidenceAt, g.plan.AsOf)
	}
}

// Circles implements World: none to six of an owner, each of up to 30 of the owner's contacts.
func (g *Generated) Circles(row func(Circle)) {
	id, firstContact := int64(0), int64(1)
	for u, degree := range g.degrees {
		random := NewRandom(g.plan.Seed, streamCircles, int64(u))
		circles := random.Intn(7)
		for c := 0; c < circles && degree > 0; c++ {
			id++
			circle := Circle{ID: id, OwnerID: int64(u) + 1, Name: circleNames[(int(id)+2*c)%len(circleNames)]}
			size := 1 + random.Intn(30)
			start, step := random.Intn(degree), 1+random.Intn(7)
			for i := 0; i < size && i*step < degree; i++ {
				circle.ContactIDs = append(circle.ContactIDs, firstContact+int64((start+i*step)%degree))
			}
			row(circle)
		}
		firstContact += int64(degree)
	}
}

// Cases implements World.
func (g *Generated) Cases(row func(Case)) {
	id := int64(0)
	for u := range g.people {
		random := NewRandom(g.plan.Seed, streamCases, int64(u))
		if !random.Chance(0.003) {
			continue
		}
		id++
		c := Case{ID: id, PrincipalID: int64(u) + 1, State: "open", OpenedAt: g.daysAgo(40 * random.Float64()),
			Type:     []string{"C1", "C2", "C3", "C4", "C5", "C6"}[random.Intn(6)],
			Severity: []string{"L1", "L2", "L3"}[random.Weighted([]float64{6, 3, 1})]}
		if c.Type == "C1" || c.Type == "C2" {
			c.CounterpartyID = int64(random.Intn(len(g.people))) + 1
			if phone := g.phones[u]; phone >= 0 {
				c.ChannelID = g.channels[phone].ID
			}
		}
		if random.Chance(0.6) {
			c.State = "resolved"
			c.ResolvedAt = random.timeBetween(c.OpenedAt, g.plan.AsOf)
		}
		row(c)
	}
}

// Incidents implements World.
func (g *Generated) Incidents(row func(Incident)) {
	id := int64(0)
	kinds := []string{"abuse_flag", "forced_recovery", "reverification_failure", "dispute"}
	for u := range g.people {
		random := NewRandom(g.plan.Seed, streamCases, int64(u), 1)
		for more := 0.015; random.Chance(more); more = 0.3 {
			id++
			incident := Incident{ID: id, PrincipalID: int64(u) + 1, OccurredAt: g.daysAgo(150 * random.Float64()),
				Kind: kinds[random.Weighted([]float64{70, 10, 10, 10})],
				Band: []string{"soft", "moderate", "hard"}[random.Weighted([]float64{7, 2, 1})]}
			if random.Chance(0.5) {
				incident.ClearedAt = random.timeBetween(incident.OccurredAt, g.plan.AsOf)
			}
			row(incident)
		}
	}
}
