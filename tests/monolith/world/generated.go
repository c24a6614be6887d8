package world

import (
	"fmt"
	"time"
)

// Plan says how large a generated world is. The same plan gives the same world, row by row.
type Plan struct {
	Principals   int
	Seed         int64
	AsOf         time.Time // newest time in any row
	LargestOwner int       // contacts of principal 1; principal 2 has five
	Unresolved   float64   // share of contacts that are no principals
}

// Generated is a world made from a plan.
type Generated struct {
	plan     Plan
	degrees  []int     // contacts by owner
	ties     [][]int32 // those of them that are principals
	people   []person
	orgs     int64
	profiles []Profile
	channels []Channel
	phones   []int32 // index of the first phone channel by principal, -1 for none
	emails   []int32
}

type person struct {
	name      string
	company   int64
	job       string
	createdAt time.Time
}

// Streams of random numbers, one for each thing that is decided.
const (
	streamPrincipals = iota + 1
	streamProfiles
	streamChannels
	streamDegrees
	streamTies
	streamContacts
	streamCircles
	streamCases
	streamCompanies
	streamTraffic
)

// Generate makes a world.
func Generate(plan Plan) (*Generated, error) {
	switch {
	case plan.Principals < 10:
		return nil, fmt.Errorf("a world has at least 10 principals, not %d", plan.Principals)
	case plan.Principals > 10_000_000:
		return nil, fmt.Errorf("a world has at most 10,000,000 principals, not %d", plan.Principals)
	case plan.LargestOwner < 5 || plan.LargestOwner > 10_000_000:
		return nil, fmt.Errorf("the largest owner has 5 to 10,000,000 contacts, not %d", plan.LargestOwner)
	case plan.Unresolved < 0 || plan.Unresolved > 1:
		return nil, fmt.Errorf("the share of contacts that are no principals is 0 to 1, not %g", plan.Unresolved)
	}
	g := &Generated{plan: plan, orgs: int64(plan.Principals/40) + 1}
	g.degrees = Degrees(plan.Principals, NewRandom(plan.Seed, streamDegrees))
	g.degrees[0], g.degrees[1] = plan.LargestOwner, 5
	counts := make([]int, len(g.degrees))
	for u, degree := range g.degrees {
		counts[u] = share(degree, 1-plan.Unresolved)
	}
	g.ties = Ties(counts, NewRandom(plan.Seed, streamTies))
	g.makePeople()
	g.makeProfiles()
	g.makeChannels()
	return g, nil
}

// Degrees returns the number of contacts of each principal.
func (g *Generated) Degrees() []int { return g.degrees }

func (g *Generated) daysAgo(days float64) time.Time {
	return g.plan.AsOf.Add(-time.Duration(days * float64(24*time.Hour))).Truncate(time.Microsecond)
}

// Which company a person works for; few companies have many people.
func (g *Generated) company(random *Random) int64 {
	at := random.Float64()
	return 1 + int64(at*at*float64(g.orgs))%g.orgs
}

func (g *Generated) makePeople() {
	g.people = make([]person, g.plan.Principals)
	for i := range g.people {
		random := NewRandom(g.plan.Seed, streamPrincipals, int64(i))
		since := g.daysAgo(5 + 1200*random.Float64())
		g.people[i] = person{PersonName(random), g.company(random), JobTitle(random), since}
	}
}

// Principals implements World.
func (g *Generated) Principals(row func(Principal)) {
	for i, p := range g.people {
		random := NewRandom(g.plan.Seed, streamPrincipals, int64(i), 1)
		principal := Principal{ID: int64(i) + 1, Status: "active", CreatedAt: p.createdAt}
		if random.Chance(0.85) {
			principal.Username = Username(p.name, principal.ID)
		}
		if random.Chance(0.01) && i > 1 {
			principal.Status = "restricted"
		}
		row(principal)
	}
}

func (g *Generated) makeProfiles() {
	for i, p := range g.people {
		random := NewRandom(g.plan.Seed, streamProfiles, int64(i))
		owner := int64(i) + 1
		add := func(class, name, company, job string, discoverable bool, org int64) {
			g.profiles = append(g.profiles, Profile{ID: int64(len(g.profiles)) + 1, OwnerID: owner,
				Class: class, DisplayName: name,
				CompanyName: company, JobTitle: job, Discoverable: discoverable, OrgID: org,
				UpdatedAt: random.timeBetween(p.createdAt, g.plan.AsOf)})
		}
		company := CompanyName(g.plan.Seed, p.company)
		single := i <= 1 || random.Chance(0.97)
		if single {
			worksAs := random.Chance(0.5)
			add("single", p.name, only(worksAs, company), only(worksAs, p.job), random.Chance(0.8), 0)
		}
		if !single || random.Chance(0.15) {
			add("employee", p.name, company, p.job, random.Chance(0.9), p.company)
		}
		if random.Chance(0.06) {
			add("shadow", random.Word(firstNames)+" "+random.Word(companyHeads), "", "", random.Chance(0.25), 0)
		}
		if random.Chance(0.03) {
			add("business", company, company, "", random.Chance(0.9), p.company)
		}
	}
}

func only(wanted bool, text string) string {
	if wanted {
		return text
	}
	return ""
}

// Profiles implements World.
func (g *Generated) Profiles(row func(Profile)) {
	for _, profile := range g.profiles {
		row(profile)
	}
}

var (
	channelStates = []string{"verified_active", "recovered", "claim_pending", "unclaimed", "challenged",
		"limited", "disputed", "transferred", "revoked"}
	channelStateWeights = []float64{86, 2, 4, 3, 1.5, 1, 1, 1, 0.5}
)

func (g *Generated) makeChannels() {
	g.phones = make([]int32, len(g.people))
	g.emails = make([]int32, len(g.people))
	for i, p := range g.people {
		random := NewRandom(g.plan.Seed, streamChannels, int64(i))
		owner := int64(i) + 1
		add := func(first []int32, kind, value string) {
			if first[i] < 0 {
				first[i] = int32(len(g.channels))
			}
			channel := Channel{ID: int64(len(g.channels)) + 1, PrincipalID: owner, Kind: kind, Value: value,
				State: channelStates[random.Weighted(channelStateWeights)]}
			if channel.State != "unclaimed" && channel.State != "claim_pending" {
				channel.VerifiedAt = random.timeBetween(p.createdAt, g.plan.AsOf)
			}
			g.channels = append(g.channels, channel)
		}
		g.phones[i], g.emails[i] = -1, -1
		if random.Chance(0.95) {
			add(g.phones, "phone", Phone(random, owner))
		}
		if random.Chance(0.7) {
			add(g.emails, "email", Email(random, p.name, owner))
		}
		if random.Chance(0.1) {
			add(g.emails, "email", fmt.Sprintf("%s.%d@%s.example", Handle(p.name), owner,
				Handle(companyHeads[p.company%int64(len(companyHeads))])))
		}
		if random.Chance(0.05) {
			add(g.phones, "phone", Phone(random, owner))
		}
	}
}

// Channels implements World.
func (g *Generated) Channels(row func(Channel)) {
	for _, channel := range g.channels {
		row(channel)
	}
}
