package world

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"
)

var midnight = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func generate(t *testing.T, plan Plan) *Generated {
	t.Helper()
	g, err := Generate(plan)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// fingerprint of every row of a world.
func fingerprint(w World) uint64 {
	hash := fnv.New64a()
	w.Principals(func(r Principal) { fmt.Fprintln(hash, r) })
	w.Profiles(func(r Profile) { fmt.Fprintln(hash, r) })
	w.Channels(func(r Channel) { fmt.Fprintln(hash, r) })
	w.Contacts(func(r Contact) { fmt.Fprintln(hash, r) })
	w.Circles(func(r Circle) { fmt.Fprintln(hash, r) })
	w.Cases(func(r Case) { fmt.Fprintln(hash, r) })
	w.Incidents(func(r Incident) { fmt.Fprintln(hash, r) })
	return hash.Sum64()
}

func TestTheSamePlanGivesTheSameWorld(t *testing.T) {
	plan := Plan{Principals: 300, Seed: 7, AsOf: midnight, LargestOwner: 300, Unresolved: 0.2}
	first := generate(t, plan)
	if fingerprint(first) != fingerprint(generate(t, plan)) || fingerprint(first) != fingerprint(first) {
		t.Error("two worlds of one plan differ")
	}
	plan.Seed = 8
	if fingerprint(first) == fingerprint(generate(t, plan)) {
		t.Error("another seed gave the same world")
	}
}

func TestOneOwnerHasVeryManyContactsAndOneHasFive(t *testing.T) {
	g := generate(t, Plan{Principals: 200, Seed: 1, AsOf: midnight, LargestOwner: 5000, Unresolved: 0.2})
	byOwner := map[int64]int{}
	g.Contacts(func(c Contact) { byOwner[c.OwnerID]++ })
	if byOwner[1] != 5000 || byOwner[2] != 5 {
		t.Errorf("owners 1 and 2 have %d and %d contacts, expected 5,000 and 5", byOwner[1], byOwner[2])
	}
	for u, degree := range g.Degrees() {
		if byOwner[int64(u)+1] != degree {
			t.Fatalf("owner %d has %d contacts, expected %d", u+1, byOwner[int64(u)+1], degree)
		}
	}
}

func TestContactsObeyTheRulesOfTheTable(t *testing.T) {
	g := generate(t, Plan{Principals: 500, Seed: 3, AsOf: midnight, LargestOwner: 600, Unresolved: 0.2})
	pairs := map[[2]int64]bool{}
	last, resolved, all := int64(0), 0, 0
	g.Contacts(func(c Contact) {
		all++
		if c.ID != last+1 {
			t.Fatalf("contact %d follows %d", c.ID, last)
		}
		last = c.ID
		if c.TargetID != 0 {
			resolved++
			pair := [2]int64{c.OwnerID, c.TargetID}
			if pairs[pair] || c.OwnerID == c.TargetID || c.TargetID > 500 {
				t.Fatalf("owner %d knows %d twice, itself or nobody", c.OwnerID, c.TargetID)
			}
			pairs[pair] = true
		}
		if c.Confidence < 0 || c.Confidence > 1 || c.DisplayName == "" {
			t.Fatalf("contact %d: confidence %g, name %q", c.ID, c.Confidence, c.DisplayName)
		}
		if c.FirstSeenAt.After(c.LastEvidenceAt) || c.LastEvidenceAt.After(midnight) {
			t.Fatalf("contact %d: first seen %s, last evidence %s", c.ID, c.FirstSeenAt, c.LastEvidenceAt)
		}
		if (c.State == "tombstoned") != !c.EndedAt.IsZero() {
			t.Fatalf("contact %d is %s and ended at %s", c.ID, c.State, c.EndedAt)
		}
	})
	if part := float64(resolved) / float64(all); part < 0.75 || part > 0.85 {
		t.Errorf("%.2f of the contacts are principals, expected 0.8", part)
	}
	mutual := 0
	for pair := range pairs {
		if pairs[[2]int64{pair[1], pair[0]}] {
			mutual++
		}
	}
	if part := float64(mutual) / float64(len(pairs)); part < 0.25 || part > 0.75 {
		t.Errorf("%.2f of the ties are mutual, expected 0.25 to 0.75", part)
	}
}

func TestEveryClassOfProfileAndChannelExists(t *testing.T) {
	g := generate(t, Plan{Principals: 2000, Seed: 5, AsOf: midnight, LargestOwner: 100, Unresolved: 0.2})
	classes, singles := map[string]int{}, map[int64]int{}
	g.Profiles(func(p Profile) {
		classes[p.Class]++
		if p.Class == "single" {
			singles[p.OwnerID]++
		}
	})
	for _, class := range []string{"single", "shadow", "business", "employee"} {
		if classes[class] == 0 {
			t.Errorf("no profile of class %s", class)
		}
	}
	for owner, count := range singles {
		if count > 1 {
			t.Errorf("principal %d has %d profiles of class single", owner, count)
		}
	}
	states := map[string]int{}
	g.Channels(func(c Channel) {
		states[c.State]++
		if unverified := c.State == "unclaimed" || c.State == "claim_pending"; unverified != c.VerifiedAt.IsZero() {
			t.Fatalf("channel %d is %s and was verified at %s", c.ID, c.State, c.VerifiedAt)
		}
	})
	if len(states) != len(channelStates) {
		t.Errorf("channels have %d states, expected %d", len(states), len(channelStates))
	}
}

func TestUsernamesAndCircleMembersAreUnique(t *testing.T) {
	g := generate(t, Plan{Principals: 3000, Seed: 5, AsOf: midnight, LargestOwner: 3000, Unresolved: 0.2})
	names := map[string]bool{}
	g.Principals(func(p Principal) {
		if p.Username != "" && names[p.Username] {
			t.Fatalf("username %s twice", p.Username)
		}
		names[p.Username] = true
	})
	owners := []int64{0}
	g.Contacts(func(c Contact) { owners = append(owners, c.OwnerID) })
	g.Circles(func(c Circle) {
		seen := map[int64]bool{}
		for _, contact := range c.ContactIDs {
			if seen[contact] || owners[contact] != c.OwnerID {
				t.Fatalf("circle %d of owner %d holds contact %d of owner %d, or twice", c.ID, c.OwnerID,
					contact, owners[contact])
			}
			seen[contact] = true
		}
	})
}

func TestAPlanOutOfRangeIsRefused(t *testing.T) {
	for name, plan := range map[string]Plan{
		"too few principals": {Principals: 9, LargestOwner: 9},
		"no largest owner":   {Principals: 10, LargestOwner: 0},
		"share above 1":      {Principals: 10, LargestOwner: 10, Unresolved: 1.1},
	} {
		if _, err := Generate(plan); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
