package score

import (
	"errors"
	"math"
	"strings"
	"testing"

	"cutover/monolith/gate"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12 {
		t.Errorf("%s: %.15g, expected %.15g", what, got, want)
	}
}

func TestTwoWhoKnowEachOther(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 2)
	n.tie(1, 2, 0.8, 45)
	n.tie(2, 1, 0.9, 45)
	n.verified(1, "phone", 45)
	n.verified(2, "email", 400)
	got := n.scores()[1]
	// R = 1, M = 0.8, V = 1; r = 0.8 both ways; one neighbour only: B = 0.
	near(t, "quality", got.quality, (0.5+0.2*0.8+0.3)/6)
	h := 0.8 * math.Log(1.8) / math.Log(501)
	k := math.Log(1.8+0.25*h) / math.Log(501)
	near(t, "position", got.position, 0.5*k)
	near(t, "stability", got.stability, 0.6*0.5+0.4*0.5)
	near(t, "trust", got.trust, 0.5+0.15+0.2)
	near(t, "score", got.score, 40*got.quality+30*got.position+20*got.stability+10*got.trust)
	if got.ties != 1 || got.penalty != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWhoHasNoTies(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 1)
	got := n.scores()[1]
	near(t, "score", got.score, 7)
	if got.score = 0; got != (result{trust: 0.7}) {
		t.Errorf("%+v", got)
	}
}

func TestWeightFollowsEvidenceAndState(t *testing.T) {
	n := newNetwork(t)
	for _, c := range []struct {
		state string
		age   float64
		want  float64 // weight of a tie with confidence 1
	}{
		{"active_confirmed", -5, 1}, {"active_confirmed", 90, 1}, {"active_confirmed", 227.5, 0.5},
		{"stale_decay", 227.5, 0.5}, {"active_probable", 227.5, 0.25}, {"active_probable", 0, 0.5},
		{"active_confirmed", 364, 1.0 / 275}, {"active_confirmed", 365, 0}, {"active_confirmed", 4000, 0},
		{"dormant", 0, 0}, {"archived", 0, 0}, {"tombstoned", 0, 0},
	} {
		n.clear()
		n.people(1, 2)
		n.tie(2, 1, 1, 100)
		n.run(`INSERT INTO app.contacts (owner_id, target_id, state, confidence, first_seen_at, last_evidence_at)
			VALUES (1, 2, $1, 1, $2, $2)`, c.state, daysBefore(c.age))
		got := n.scores()[1]
		if got.ties != map[bool]int64{true: 1}[c.want > 0] {
			t.Errorf("%s of %g days: %d ties", c.state, c.age, got.ties)
		}
		// 2's tie has weight 1, so the mutual weight is that of 1's.
		h := c.want * math.Log(1+c.want) / math.Log(501)
		near(t, c.state, got.position, 0.5*math.Log(1+c.want+0.25*h)/math.Log(501))
	}
}

func TestWhoAddsInBulkIsDampedFromThe51stOfTheWeek(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 60)
	// 50 contacts of the week with confidence 1, one of which has no weight; then one more, and one from before the week.
	for target := 2; target <= 51; target++ {
		n.tie(1, target, 1, 6-float64(target)/100)
	}
	n.run("UPDATE app.contacts SET last_evidence_at = $1 WHERE target_id = 2", daysBefore(400))
	n.tie(1, 52, 0.5, 1)
	n.tie(1, 53, 0.5, 7)
	n.tie(1, 54, 0.5, -1) // in the future: not of the last 7 days
	got := n.scores()[1]
	if got.ties != 52 {
		t.Fatalf("%d ties", got.ties)
	}
	// No mutual tie, nobody verified: quality is that of M alone. Weights: 49 of 1, 0.05, 0.5, 0.5.
	m := (49 + 0.05*0.5 + 0.5*0.5 + 0.5*0.5) / (49 + 0.05 + 1)
	near(t, "quality", got.quality, 0.2*m*52/57)
}

func TestDampingDoesNotHelpTheReciprocalShare(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 101)
	for target := 2; target <= 101; target++ {
		n.tie(1, target, 1, 3)
	}
	// Of equal times the smaller ids come first: 2 to 51 are whole, 52 to 101 are damped.
	n.tie(2, 1, 1, 100)
	got := n.scores()[1]
	near(t, "quality", got.quality, (0.5*0.01+0.2)*100/105)
	near(t, "position", got.position, 0.5*math.Log(2+0.25*math.Log(2)/math.Log(501))/math.Log(501)*0.01/0.25)
}

func TestOfEqualTiesTheSmallerTargetIsAmongTheFifty(t *testing.T) {
	n := newNetwork(t)
	for unverified, want := range map[int]float64{2: 49.0 / 50, 51: 49.0 / 50, 52: 1} {
		n.clear()
		n.people(1, 52)
		for target := 2; target <= 52; target++ {
			n.tie(1, target, 1, 100)
			if target != unverified {
				n.verified(target, "phone", 10)
			}
		}
		got := n.scores()[1]
		near(t, "quality", got.quality, (0.2+0.3*want)*51/56)
		near(t, "stability", got.stability, 0.6*0.25)
	}
}

func TestOfEqualNeighboursTheSmallerIsAmongTheSixtyFour(t *testing.T) {
	n := newNetwork(t)
	for _, c := range []struct {
		a, b   int
		linked float64
	}{{2, 3, 1}, {64, 65, 1}, {65, 66, 0}, {2, 66, 0}} {
		n.clear()
		n.people(1, 66) // 65 neighbours of 1
		for other := 2; other <= 66; other++ {
			n.mutual(1, other, 1)
		}
		n.mutual(c.a, c.b, 1)
		s, h := 65.0, (63*math.Log(2)+2*math.Log(3))/math.Log(501)
		k := math.Log(1+s+0.25*h) / math.Log(501)
		near(t, "position", n.scores()[1].position, 0.5*k+0.5*(1-c.linked/(64*63/2)))
	}
}

func TestCirclesOfTheOwnerCount(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 3)
	n.tie(1, 2, 1, 100)
	n.tie(1, 3, 1, 100)
	n.run("INSERT INTO app.circles (circle_id, owner_id, name) VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 3, 'c')")
	n.run("INSERT INTO app.circle_members SELECT c, contact_id FROM app.contacts, (VALUES (1), (2)) k (c) WHERE target_id = 2")
	n.run("INSERT INTO app.circle_members SELECT 3, contact_id FROM app.contacts WHERE target_id = 3") // a circle of somebody else
	near(t, "quality", n.scores()[1].quality, 0.2*(1+0.05*0.5)*2/7)
}

func TestEndedContactsCountForNinetyDays(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 6)
	n.run("UPDATE app.principals SET status = 'restricted' WHERE principal_id = 6")
	n.tie(1, 2, 1, 400)
	for target, days := range map[int]float64{3: 89, 4: 90, 5: -1, 6: 10} {
		n.tie(1, target, 1, 400)
		n.run("UPDATE app.contacts SET state = 'tombstoned', ended_at = $2 WHERE target_id = $1", target, daysBefore(days))
	}
	near(t, "stability", n.scores()[1].stability, 0.6*0.25*(1-0.5)) // of the ended ones that of 89 days only
}

func TestWhoIsEligible(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 5)
	n.run("UPDATE app.principals SET status = 'restricted' WHERE principal_id = 2")
	n.run("UPDATE app.profiles SET profile_class = 'shadow' WHERE owner_principal_id = 3")
	n.run("UPDATE app.profiles SET profile_class = 'business' WHERE owner_principal_id = 4")
	n.run("UPDATE app.profiles SET profile_class = 'employee' WHERE owner_principal_id = 5")
	for target := 1; target <= 5; target++ {
		n.tie(1, target, 1, 100)
	}
	got := n.scores()
	if len(got) != 2 || got[1].ties != 1 {
		t.Errorf("%+v", got)
	}
	n.run("UPDATE app.contacts SET contested = true WHERE target_id = 5")
	if got := n.scores(); got[1].ties != 0 {
		t.Errorf("contested: %+v", got[1])
	}
}

func TestTrustAndPenalty(t *testing.T) {
	n := newNetwork(t)
	never := math.Inf(1)
	type incident struct {
		kind, band        string
		occurred, cleared float64 // days ago
	}
	for name, c := range map[string]struct {
		incidents []incident
		trust     float64
		penalty   float64
	}{
		"soft flag":                 {[]incident{{"abuse_flag", "soft", 200, never}}, 0.7 - 0.2/3, 8},
		"moderate flag":             {[]incident{{"abuse_flag", "moderate", 200, never}}, 0.7 - 0.2/3, 15},
		"four soft flags":           {[]incident{{"abuse_flag", "soft", 1, never}, {"abuse_flag", "soft", 2, never}, {"abuse_flag", "soft", 3, never}, {"abuse_flag", "soft", 4, never}}, 0.5, 30},
		"cleared soft flag":         {[]incident{{"abuse_flag", "soft", 200, 15}}, 0.7, 4},
		"cleared today":             {[]incident{{"abuse_flag", "soft", 200, 0}}, 0.7, 8},
		"cleared in the future":     {[]incident{{"abuse_flag", "soft", 200, -3}}, 0.7, 8},
		"soft, cleared long ago":    {[]incident{{"abuse_flag", "soft", 200, 30}}, 0.7, 0},
		"moderate, fading":          {[]incident{{"abuse_flag", "moderate", 200, 45}}, 0.7, 3.75},
		"hard, fading":              {[]incident{{"abuse_flag", "hard", 200, 45}}, 0.7, 15},
		"open dispute":              {[]incident{{"dispute", "moderate", 300, never}}, 0.2, 15},
		"cleared dispute":           {[]incident{{"dispute", "soft", 300, 60}}, 0.7, 0},
		"recovery of 89 days":       {[]incident{{"forced_recovery", "soft", 89, 60}}, 0.2, 0},
		"recovery of 90 days":       {[]incident{{"forced_recovery", "soft", 90, 60}}, 0.7, 0},
		"failure, never cleared":    {[]incident{{"reverification_failure", "soft", 91, never}}, 0.7, 8},
		"failure of 10 days":        {[]incident{{"reverification_failure", "soft", 10, 5}}, 0.2, 8 * (1 - 5.0/30)},
		"recovery in the future":    {[]incident{{"forced_recovery", "soft", -1, 60}}, 0.7, 0},
		"more than thirty together": {[]incident{{"abuse_flag", "hard", 9, never}, {"dispute", "hard", 9, never}}, 0.2 - 0.2/3, 30},
	} {
		n.clear()
		n.people(1, 1)
		for _, i := range c.incidents {
			var cleared interface{}
			if i.cleared != never {
				cleared = daysBefore(i.cleared)
			}
			n.run("INSERT INTO app.trust_incidents (principal_id, kind, band, occurred_at, cleared_at) VALUES (1, $1, $2, $3, $4)",
				i.kind, i.band, daysBefore(i.occurred), cleared)
		}
		got := n.scores()[1]
		near(t, name+": trust", got.trust, c.trust)
		near(t, name+": penalty", got.penalty, c.penalty)
		near(t, name+": score", got.score, math.Max(0, 10*c.trust-c.penalty))
	}
}

func TestVerifiedChannels(t *testing.T) {
	n := newNetwork(t)
	n.people(1, 1)
	n.verified(1, "phone", 30)
	n.verified(1, "phone", 60)
	n.verified(1, "email", 400)
	n.run("UPDATE app.channels SET state = 'limited' WHERE kind = 'email'")
	got := n.scores()[1]
	near(t, "trust", got.trust, 0.5+0.3*0.5+0.2)
	near(t, "stability", got.stability, 0.4*60/90)
	n.run("UPDATE app.channels SET state = 'recovered' WHERE kind = 'email'")
	got = n.scores()[1]
	near(t, "trust", got.trust, 1)
	near(t, "stability", got.stability, 0.4)
}

func TestAConfidenceThatIsNoneIsRefusedByName(t *testing.T) {
	n := newNetwork(t)
	for _, wrong := range []string{"NaN", "Infinity", "-Infinity", "1.0000001", "-0.1"} {
		n.clear()
		n.people(1, 2)
		n.tie(1, 2, 1, 100)
		n.run("UPDATE app.contacts SET contact_id = 4711, confidence = $1::text::double precision", wrong)
		_, err := n.compute()
		var refused gate.Rejection
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "contact_id 4711 has the confidence "+wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
